import hashlib
import subprocess

import pytest

from lockstep.config.settings import Settings
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
