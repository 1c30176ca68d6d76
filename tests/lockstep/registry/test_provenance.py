import hashlib
import subprocess

import pytest

from lockstep.config.settings import Settings
from lockstep.errors import ConfigError
from lockstep.registry import provenance

LOCK = "schema: '2.0'\nstages:\n  data_ingestion: {cmd: a}\n"


def git(*arguments):
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *arguments], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "params.yaml").write_text("a: 1\n", encoding="utf-8")
    (tmp_path / "data" / "raw").mkdir(parents=True)
    (tmp_path / "data" / "raw" / "source.json").write_text('{"sha256": "d1"}', encoding="utf-8")
    return tmp_path


def test_without_git_and_lock(project):
    assert provenance.describe() == {
        "git_commit": "unknown",
        "git_dirty": "unknown",
        "dvc_lock": "none",
        "params_sha256": hashlib.sha256(b"a: 1\n").hexdigest(),
        "data_sha256": "d1",
    }


def test_with_git(project):
    git("init", "-q")
    git("add", "params.yaml")
    git("commit", "-qm", "first")
    tags = provenance.describe()
    assert (tags["git_commit"], tags["git_dirty"]) == (git("rev-parse", "HEAD"), "false")
    (project / "params.yaml").write_text("a: 2\n", encoding="utf-8")
    changed = provenance.describe()
    assert (changed["git_commit"], changed["git_dirty"]) == (tags["git_commit"], "true")
    assert changed["params_sha256"] != tags["params_sha256"]


def test_a_run_of_an_experiment_says_so():
    assert provenance.experiment(Settings.read({})) == {}
    inside = Settings.read({"DVC_EXP_NAME": "folds4", "DVC_EXP_BASELINE_REV": "abc"})
    assert provenance.experiment(inside) == {"dvc_exp_name": "folds4", "dvc_exp_baseline": "abc"}


def test_without_the_git_command(project, monkeypatch):
    monkeypatch.setenv("PATH", str(project))
    assert provenance.describe()["git_commit"] == "unknown"


def test_the_lock_counts_up_to_the_registration(project):
    lock = project / "dvc.lock"
    lock.write_text(LOCK, encoding="utf-8")
    before = provenance.lock_digest()
    lock.write_text(f"{LOCK}  register_model: {{cmd: b}}\n", encoding="utf-8")
    assert provenance.lock_digest() == before
    lock.write_text(f"{LOCK}  model_building: {{cmd: b}}\n", encoding="utf-8")
    assert provenance.lock_digest() != before


def refuse_owner(project):
    """Let git take the folder for another user's, as it is to a server that runs as somebody else."""
    git("init", "-q")
    git("add", "params.yaml")
    git("commit", "-qm", "first")
    return {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}


def only_init(project):
    git("init", "-q")
    return {}


@pytest.mark.parametrize(
    ("prepare", "told", "todo"),
    [
        (refuse_owner, "belongs to another user", "safe.directory"),
        (only_init, "has no commit yet", "git commit"),
        (lambda project: {}, "is no git repository", "git init"),
        (lambda project: {"PATH": str(project)}, "git is not installed", "install git"),
    ],
)
def test_why_there_is_no_commit_is_told_and_logged(project, monkeypatch, caplog, prepare, told, todo):
    for name, value in prepare(project).items():
        monkeypatch.setenv(name, value)
    problem, hint = provenance.git_problem()
    assert told in problem
    assert todo in hint
    assert provenance.describe()["git_commit"] == "unknown"
    assert f"git_commit is unknown: {problem}; {hint}" in caplog.text


def test_a_lock_with_conflict_markers_is_refused(project):
    (project / "dvc.lock").write_text(f"<<<<<<< HEAD\n{LOCK}=======\n{LOCK}>>>>>>> other\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"dvc\.lock has the conflict markers of a merge"):
        provenance.describe()
