import os
import subprocess
import sys
from pathlib import Path

import pytest

from lockstep.errors import DataError
from lockstep.lifecycle import data_file
from tests.root import ROOT

ROWS = b"a,b\n1,2\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project under git and DVC, and a file outside of it."""
    root = tmp_path / "project"
    (root / "data/external").mkdir(parents=True)
    (root / ".dvc").mkdir()
    for name in (".gitignore", "dvc.yaml", ".dvc/.gitignore"):
        (root / name).write_bytes((ROOT / name).read_bytes())
    (root / ".dvc/config").write_text("[core]\nanalytics = false\ncheck_update = false\n")
    (tmp_path / "my rows.csv").write_bytes(ROWS)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(root)
    sh("git init -q . && git config user.name a && git config user.email a@b.c")
    sh("touch params.yaml .dvcignore && git add -A && git commit -qm first")
    return root


@pytest.fixture
def elsewhere(tmp_path):
    return tmp_path / "my rows.csv"


def sh(command):
    done = subprocess.run(["sh", "-ec", command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit(tracking):
    """Run the command that `init` prints, after a change of params.yaml, and return what git holds from then on."""
    Path("params.yaml").write_text("changed: true\n")
    sh(data_file.commit_command(tracking, "Train on it"))
    assert sh("git status --porcelain") == ""
    return [name for name in sh("git ls-files -z data").split("\0") if name]


def test_dvc_takes_a_copy(project, elsewhere):
    path, tracking = data_file.take(elsewhere, "dvc")
    assert (path, tracking.state) == (Path("data/external/my rows.csv"), "under DVC")
    assert path.read_bytes() == ROWS and not path.is_symlink()
    assert commit(tracking) == ["data/external/my rows.csv.dvc"]
    sh("dvc remote add -q -d storage ../storage && git commit -qam remote && dvc push -q && git clone -q . ../clone")
    assert not Path("../clone", path).exists()
    sh("cd ../clone && dvc pull -q --allow-missing")
    assert Path("../clone", path).read_bytes() == ROWS


def test_git_takes_a_small_copy(project, elsewhere):
    path, tracking = data_file.take(elsewhere, "git")
    assert tracking.state == "under git"
    assert commit(tracking) == ["data/external/my rows.csv"]
    assert data_file.take(elsewhere, "dvc") == (path, tracking)


def test_git_takes_no_large_file(project, elsewhere):
    elsewhere.write_bytes(b"x" * (data_file.GIT_BYTES + 1))
    with pytest.raises(DataError, match="has 1000001 bytes, and git takes 1000000"):
        data_file.take(elsewhere, "git")
    assert list(Path("data/external").iterdir()) == []


def test_a_link_is_tracked_nowhere_and_a_copy_takes_its_place(project, elsewhere):
    path, tracking = data_file.take(elsewhere, "link")
    assert path.is_symlink() and "no clone or workflow finds it" in tracking.state
    assert commit(tracking) == []
    path, tracking = data_file.take(elsewhere, "dvc")
    assert (path.is_symlink(), tracking.state) == (False, "under DVC")


def test_a_file_in_place_is_tracked_where_it_is(project):
    Path("data/external/deep").mkdir()
    Path("data/external/deep/rows.csv").write_bytes(ROWS)
    path, tracking = data_file.take(project / "data/external/deep/rows.csv", "dvc")
    assert (str(path), tracking.commit) == ("data/external/deep/rows.csv", ("data/external/deep.dvc",))
    assert commit(tracking) == ["data/external/deep.dvc"]


def test_another_file_of_the_name_is_kept_and_an_equal_one_is_used(project, elsewhere):
    path, _ = data_file.take(elsewhere, "dvc")
    assert data_file.take(elsewhere, "dvc")[0] == path
    elsewhere.write_bytes(ROWS + b"3,4\n")
    with pytest.raises(DataError, match="exists and is another file"):
        data_file.take(elsewhere, "dvc")
    assert path.read_bytes() == ROWS


def test_without_git_or_dvc_it_says_so(project, elsewhere):
    sh("rm -rf .dvc")
    assert "DVC was not set up" in data_file.take(elsewhere, "dvc")[1].state
    sh("rm -rf .git")
    path, tracking = data_file.take(elsewhere, "dvc")
    assert "no git repository" in tracking.state and path.read_bytes() == ROWS
    assert data_file.commit_command(tracking, "x") == ""


def test_what_dvc_refuses_is_said_in_one_line(project, elsewhere):
    sh("echo '*.csv' > .dvcignore")
    with pytest.raises(DataError, match=r"DVC does not take data/external/my rows\.csv: .+") as refused:
        data_file.take(elsewhere, "dvc")
    assert "\n" not in refused.value.problem
