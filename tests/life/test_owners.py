"""A project that belongs to another user, or whose parent folder its user may not write to."""

import json
import os
import sys

import pytest

from tests.life.conftest import START_S
from tests.pipeline.project import copy_of
from tests.serving.real import Server

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.long("runs pipeline, commands and servers as another user"),
    pytest.mark.skipif(os.getuid() != 0, reason="NOT TESTED: only root can act as another user"),
]
NOBODY = 65534
READS = "+dac_read_search"
"""An ordinary user may not enter root's folders, where this interpreter may be. To write, rights are needed as ever."""

AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", f"--inh-caps={READS}")
AS_NOBODY += (f"--ambient-caps={READS}",)
LOCKSTEP = (sys.executable, "-m", "lockstep")


@pytest.fixture
def project(finished, tmp_path):
    """A finished project, git without the settings of this machine and its user."""
    home = tmp_path / "home"
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    project = copy_of(finished, tmp_path / "parent" / "project")
    project.settings |= {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}
    return project


def give(folder, user):
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)


def checks(project, *prefix):
    done = project.run(*prefix, *LOCKSTEP, "doctor", "--json", ok=False)
    return {row["name"]: row for row in json.loads(done.stdout)}


def test_the_pipeline_runs_in_a_folder_of_another_user_and_says_why_no_commit_is_named(project):
    give(project.root, NOBODY)
    assert "dubious ownership" in project.run("git", "status", ok=False).stderr
    project.edit("params.yaml", "seed: 42\nmodel_evaluation", "seed: 43\nmodel_evaluation")
    done = project.run("dvc", "repro")
    assert "git_commit is unknown: the project folder belongs to another user" in done.stdout + done.stderr
    project.run(*LOCKSTEP, "promote")
    git = checks(project)["git"]
    assert (git["status"], git["todo"]) == ("warn", 'git config --global --add safe.directory "$PWD"')
    project.run("sh", "-c", git["todo"])
    assert checks(project)["git"]["status"] == "ok"


def test_an_ordinary_user_needs_no_right_to_write_beside_the_project(project):
    give(project.root, NOBODY)
    project.root.parent.chmod(0o555)
    assert project.run(*AS_NOBODY, "touch", str(project.root.parent / "file"), ok=False).returncode == 1
    project.edit("params.yaml", "seed: 42\nmodel_evaluation", "seed: 43\nmodel_evaluation")
    project.run(*AS_NOBODY, "dvc", "repro")
    project.run(*AS_NOBODY, *LOCKSTEP, "promote")
    assert {row["status"] for row in checks(project, *AS_NOBODY).values()} <= {"ok", "warn"}
    server = Server(project.root, name="breast-cancer", prefix=AS_NOBODY, LOCKSTEP_DRAIN_S="0")
    server.environment["LOCKSTEP_STATE"] = str(project.root / ".lockstep")
    try:
        server.start(within_s=START_S)
        rows = json.loads(project.read("models/smoke.json"))["rows"][:2]
        assert server.predict(rows)[0] == 200
    finally:
        server.kill()


def test_a_project_that_its_user_may_not_write_to_is_refused_in_one_line(project):
    before = {path: path.lstat().st_mtime_ns for path in project.root.rglob("*")}
    refused = project.run(*AS_NOBODY, *LOCKSTEP, "promote", ok=False)
    assert refused.returncode == 1
    assert "lockstep: Permission denied: " in refused.stderr and "Traceback" not in refused.stderr
    state = checks(project, *AS_NOBODY)["state folder"]
    assert (state["status"], state["todo"]) == ("fail", "make it writable, or set LOCKSTEP_STATE")
    assert {path: path.lstat().st_mtime_ns for path in project.root.rglob("*")} == before
