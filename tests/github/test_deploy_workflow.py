"""ci.yml and deploy.yml from their YAML, job by job in fresh clones, against stand-ins of all that they reach.

What a job needs and this machine lacks is a failure with its name, or a skip that says so: pytest -rs.
"""

import pytest

from tests import github_like
from tests.github import account as standins

pytestmark = [pytest.mark.server, pytest.mark.pipeline, pytest.mark.long("runs the jobs of ci.yml and deploy.yml")]
LEFT_OUT = tuple(word for job in ("check", "test", "long", "manifests") for word in ("--skip", job))
"""Checks and tests of the product, of which this is one."""


PROJECTS = {"example": standins.example, "own": standins.own}


@pytest.fixture(scope="module", params=PROJECTS)
def repository(request, account, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return standins.Repository(account, PROJECTS[request.param](folder, account), folder)


def passed(done):
    """Return the lines of a run's summary, of which all have passed."""
    print(done.stdout[-20_000:], done.stderr[-3000:])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return [line.split() for line in done.stdout.partition("\njobs:\n")[2].splitlines()]


def test_from_a_commit_to_a_cluster_twice_after_a_failed_job_and_in_two_regions(repository, account):
    at_first = account.running()
    account.registry.stop()
    done = repository.run(*LEFT_OUT, "deploy")
    print(done.stdout[-20_000:], done.stderr[-3000:])
    assert done.returncode == 1
    assert "FAILED    deploy / production" in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
    assert account.running() == at_first

    account.registry.start()
    passed(repository.run(*LEFT_OUT, "--rerun-failed", "deploy"))
    first = account.running()
    assert first.startswith(f"{account.variables(standins.REGIONS[0])['ECR_REPOSITORY']}@sha256:")

    before = account.state()
    passed(repository.run(*LEFT_OUT, "deploy"))
    assert account.state() == before

    passed(repository.run("--job", "production", "deploy", region=standins.REGIONS[1]))
    assert account.running().startswith(account.variables(standins.REGIONS[1])["ECR_REPOSITORY"])
    assert {name.partition("/")[0] for name in account.registry.state()} == set(standins.REGIONS)


def test_a_pull_request_gets_one_comment_that_the_next_run_renews(repository):
    words = ("--event", "pull_request", "--job", "pipeline", "--job", "comment", "ci")
    with github_like.serving() as server:
        where, secrets = {"GITHUB_API_URL": server.url}, {"GITHUB_TOKEN": github_like.TOKEN}
        said = [repository.run(*words, environment=where, secrets=secrets) for _ in range(2)]
        assert [len(passed(done)) > 2 for done in said] == [True, True]
        assert "comment on pull request 1: written\n" in said[0].stdout
        assert "comment on pull request 1: as it was\n" in said[1].stdout
        (comment,) = server.comments.values()
    assert "### Metrics, against `origin/main`" in comment["body"]
    assert github_like.TOKEN not in said[0].stdout
