"""scripts/pull_request_comment over HTTP, against a server that takes comments as GitHub does."""

import pytest

from tests import github_like, ops

MARK = "<!-- lockstep: what this change does to the model -->"


@pytest.fixture
def comment(tmp_path):
    """Return a function that comments on pull request 7 with a text, by a token."""

    def run(server, text="better", token=github_like.TOKEN, **changes):
        (tmp_path / "change.md").write_text(text)
        env = {
            "PATH": f"{ops.ROOT / '.venv/bin'}:/usr/bin:/bin", "GH_TOKEN": token, "GITHUB_API_URL": server.url,
            "GITHUB_REPOSITORY": "own/er", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "NO_PROXY": "*",
        } | changes  # fmt: skip
        return ops.run(ops.ROOT / "scripts/pull_request_comment", "7", tmp_path / "change.md", env=env)

    return run


def others(count):
    return {number: {"id": number, "body": f"looks good, {number} {MARK}"} for number in range(1, count + 1)}


def test_one_comment_is_written_renewed_and_left_as_it_is(comment):
    with github_like.serving() as server:
        server.comments = others(100)  # so that ours is on the second page
        said = [comment(server, text).stdout.strip() for text in ("better", "worse", "worse")]
        ours = [each["body"] for each in server.comments.values() if each["body"].startswith(MARK)]
        assert [line.rpartition(": ")[2] for line in said] == ["written", "renewed", "as it was"]
        assert len(server.comments) == 101
        assert (len(ours), ours[0].endswith("worse")) == (1, True)
        assert [method for method, _ in server.asked] == ["POST", "PATCH"]


def test_what_two_runs_at_once_have_written_becomes_one(comment):
    with github_like.serving() as server:
        server.comments = {number: {"id": number, "body": f"{MARK}\nold"} for number in (1, 2, 3)}
        assert comment(server).returncode == 0
        assert list(server.comments) == [1]
        assert server.comments[1]["body"].endswith("better")


@pytest.mark.parametrize("token", [github_like.READ_TOKEN, "expired", ""], ids=["fork", "expired", "none"])
def test_without_the_right_the_text_is_in_the_summary(comment, tmp_path, token):
    with github_like.serving() as server:
        done = comment(server, token=token)
        assert (done.returncode, server.comments, server.asked) == (0, {}, [])
        assert "no right to comment (40" in done.stderr
        assert (tmp_path / "summary").read_text().endswith("\n\nbetter\n")


def test_a_long_text_is_cut_to_what_github_takes(comment):
    with github_like.serving() as server:
        assert comment(server, "x" * 100_000).returncode == 0
        assert len(server.comments[1]["body"]) < 65_536
        assert "the summary of the run has all of it" in server.comments[1]["body"]


def test_a_server_that_fails_once_is_asked_again(comment):
    with github_like.serving(502) as server:
        assert comment(server).returncode == 0
        assert len(server.comments) == 1


FAULTS = {
    "422": ([422], {}, "GitHub does not take the comment: 422"),
    "no answer": ([], {"GITHUB_API_URL": "http://127.0.0.1:9"}, "does not take the comment: <urlopen error"),
    "no repository": ([], {"GITHUB_REPOSITORY": ""}, "GITHUB_REPOSITORY is not set"),
}


@pytest.mark.parametrize(("statuses", "changes", "problem"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_one_line_with_a_hint(comment, statuses, changes, problem):
    with github_like.serving(*statuses) as server:
        done = comment(server, **changes)
        assert (done.returncode, server.comments) == (1, {})
        assert problem in done.stderr.splitlines()[0]
        assert done.stderr.splitlines()[1].startswith("  hint: ")
