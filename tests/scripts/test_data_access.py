"""scripts/remote, scripts/pull_data and scripts/suites in a project of a user, with real git and DVC."""

import configparser
import http.server
import json
import shutil
import threading

import pytest

from tests import ops
from tests.pipeline.project import copy_project

TOKEN = "0123456789abcdef0123456789abcdef01234567"
USER = {"id": 1, "login": "own", "username": "own", "full_name": "", "avatar_url": ""}
TEXTS = ("description", "html_url", "clone_url", "default_branch", "created_at", "updated_at", "full_name")
COUNTS = ("size", "stars_count", "forks_count", "watchers_count", "open_issues_count")
REPO = {
    "id": 1,
    "owner": USER,
    "name": "er",
    **dict.fromkeys(TEXTS, "x"),
    **dict.fromkeys(COUNTS, 0),
    **dict.fromkeys(("private", "fork", "empty", "mirror"), False),
}
ANSWERS = {"/api/v1/user": USER, "/api/v1/repos/own/er": REPO}


class DagsHubLike(http.server.BaseHTTPRequestHandler):
    """What DagsHub answers about a token and a repository."""

    def do_GET(self):
        known = self.headers["Authorization"] == f"Bearer {TOKEN}"
        content = ANSWERS.get(self.path) if known else None
        self.send_response(200 if content else 404 if known else 401)
        self.end_headers()
        self.wfile.write(json.dumps(content or {"message": "no"}).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def dagshub():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), DagsHubLike)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with a table of its own under DVC, which is not in this clone."""
    template = copy_project(tmp_path_factory.mktemp("data") / "project")
    (template.root.parent / "rows.csv").write_text("a,b,c\n" + "".join(f"{i % 7},{i},{i % 2}\n" for i in range(60)))
    template.run("lockstep", "init", "../rows.csv", "--target", "c", "--force")
    return template


def script(project, name, *words, ok=True, **variables):
    project.settings = {"HOME": str(project.root.parent), **variables}
    return project.run(f"scripts/{name}", *words, ok=ok)


def local(project):
    parser = configparser.ConfigParser()
    parser.read(project.root / ".dvc/config.local")
    return {name: dict(parser[name]) for name in parser.sections()}


def test_dagshub_is_asked_before_its_bucket_becomes_the_remote(project, dagshub):
    done = script(project, "remote", DAGSHUB_REPO="own/er", DAGSHUB_USER_TOKEN=TOKEN, DAGSHUB_CLIENT_HOST=dagshub)
    assert "s3://er" in done.stdout and TOKEN not in done.stdout + done.stderr
    endpoint = f"{dagshub}/api/v1/repo-buckets/s3/own"
    keys = {"access_key_id": TOKEN, "secret_access_key": TOKEN}
    assert local(project)["'remote \"storage\"'"] == {"url": "s3://er", "endpointurl": endpoint, **keys}
    assert (project.root / ".dvc/config.local").stat().st_mode & 0o077 == 0
    assert "config" not in project.git_status()


@pytest.mark.parametrize(
    ("repo", "token", "problem"),
    [
        ("own/er", "", "DAGSHUB_REPO is set, and no token"),
        ("own/er", "wrong", "does not accept the token"),
        ("own/other", TOKEN, "there is no repository own/other"),
        ("own", TOKEN, "'own' is not owner/name"),
    ],
)
def test_what_dagshub_refuses_is_said_and_nothing_is_written(project, dagshub, repo, token, problem):
    (project.root / ".dvc/config.local").unlink(missing_ok=True)
    variables = {"DAGSHUB_REPO": repo, "DAGSHUB_USER_TOKEN": token, "DAGSHUB_CLIENT_HOST": dagshub}
    done = script(project, "remote", ok=False, **variables)
    assert done.returncode == 1 and problem in done.stderr and "hint: " in done.stderr
    assert not (project.root / ".dvc/config.local").exists()


def test_a_server_that_is_away_is_named(project):
    variables = {"DAGSHUB_REPO": "own/er", "DAGSHUB_USER_TOKEN": TOKEN, "DAGSHUB_CLIENT_HOST": "http://127.0.0.1:9"}
    done = script(project, "remote", ok=False, **variables)
    assert done.returncode == 1 and "error: http://127.0.0.1:9: " in done.stderr


@pytest.fixture
def clone(project):
    """The same project where neither the table nor DVC's cache is."""
    (project.root / ".dvc/config.local").unlink(missing_ok=True)
    project.commit("init") if project.git_status() else None
    away = project.root.parent / "away"
    away.mkdir()
    for name in ("data/external/rows.csv", ".dvc/cache"):
        (project.root / name).rename(away / name.rpartition("/")[2])
    yield project
    (away / "rows.csv").rename(project.root / "data/external/rows.csv")
    (away / "cache").rename(project.root / ".dvc/cache")
    away.rmdir()


@pytest.mark.parametrize(
    ("remote", "problem"),
    [("", "is under DVC, and no DVC remote is set"), ("../empty", "could not be pulled from storage: ")],
)
def test_pull_says_what_is_missing_in_one_line(clone, remote, problem):
    done = script(clone, "pull_data", ok=False, DVC_REMOTE_URL=remote)
    assert done.returncode == 1
    assert f"error: data/external/rows.csv {problem}" in done.stderr
    shutil.rmtree(clone.root / ".dvc/cache", ignore_errors=True)


def test_pull_names_a_source_that_nobody_tracks(clone):
    pointer = clone.root / "data/external/rows.csv.dvc"
    text = pointer.read_text()
    pointer.unlink()
    done = script(clone, "pull_data", ok=False)
    pointer.write_text(text)
    assert done.returncode == 1
    assert "error: data/external/rows.csv is neither in git nor under DVC\n  hint: " in done.stderr


def test_an_unknown_key_of_params_is_one_line(clone):
    clone.edit("params.yaml", "data_ingestion:\n", "data_ingestion:\n  sauce: 1\n")
    done = script(clone, "pull_data", ok=False)
    clone.edit("params.yaml", "  sauce: 1\n", "")
    assert done.returncode == 1
    assert "params.yaml: unknown key 'data_ingestion.sauce'; did you mean 'source'?\n  hint: " in done.stderr
    assert "Traceback" not in done.stderr


PUSHED = {"no remote": ("", "no DVC remote is set"), "no folder": ("../full/file", "nothing is stored at ")}


@pytest.mark.parametrize(("remote", "problem"), PUSHED.values(), ids=PUSHED.keys())
def test_push_says_in_one_line_why_nothing_is_stored(clone, remote, problem):
    (clone.root / "../full").touch()
    if remote:
        script(clone, "remote", DVC_REMOTE_URL=str(clone.root.parent / remote.removeprefix("../")))
    done = script(clone, "push_data", ok=False)
    (clone.root / ".dvc/config.local").unlink(missing_ok=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {problem}")
    assert len(done.stderr.splitlines()) == 2


def test_where_the_data_are_here_nothing_is_needed(project):
    assert script(project, "pull_data").stdout == "every source is here\n"


def test_ci_runs_the_tests_of_the_product_where_the_library_or_the_example_is_here(project):
    def suites():
        return script(project, "suites").stdout

    assert suites() == "product=true\n"  # no release is recorded
    script(project, "suites", "--release")
    assert suites() == "product=false\n"
    params = project.read("params.yaml")
    (project.root / "params.yaml").write_bytes((ops.ROOT / "examples/breast-cancer.yaml").read_bytes())
    assert suites() == "product=true\n"
    (project.root / "params.yaml").write_text(params)
    (project.root / "src/lockstep/errors.py").write_text(project.read("src/lockstep/errors.py") + "# mine\n")
    project.commit("change the library")
    assert suites() == "product=true\n"
