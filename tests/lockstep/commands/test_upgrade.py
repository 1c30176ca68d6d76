import io
import subprocess
import tarfile
import zipfile

import pytest

from lockstep import cli, files
from lockstep.errors import ConfigError
from lockstep.lifecycle import project_template

PARAMS = "a: 1\n\nb: 2\n\nc: 3\n"
FIRST = {
    "params.yaml": PARAMS,
    "dvc.yaml": "stages: {}\n",
    "src/stage.py": "import one\n\n\ndef main():\n    one()\n",
    ".github/workflows/ci.yml": "on: push\n\njobs: 1\n",
    "docs/unused.md": "page\n",
    "k8s/limits.yaml": "memory: 1\n",
    ".gitignore": "/models/*\n",
    "models/.gitkeep": "",
}
SECOND = FIRST | {
    "params.yaml": PARAMS + "\nd: 4\n",
    "src/stage.py": "import one\n\n\ndef main():\n    one()\n\n\nmain()\n",
    ".github/workflows/ci.yml": "on: pull_request\n\njobs: 1\n",
    "k8s/limits.yaml": "memory: 2\n",
    "src/added.py": "added = True\n",
    "models/notes.md": "ignored by git, and tracked\n",
}
EDITS = {
    "params.yaml": PARAMS.replace("a: 1", "a: 100"),
    "src/stage.py": FIRST["src/stage.py"].replace("import one\n", "import one\nimport own\n"),
    ".github/workflows/ci.yml": "on: push\n\njobs: 2\n",
    "src/own.py": "own = True\n",
}
MERGED = {
    "params.yaml": PARAMS.replace("a: 1", "a: 100") + "\nd: 4\n",
    "src/stage.py": "import one\nimport own\n\n\ndef main():\n    one()\n\n\nmain()\n",
    ".github/workflows/ci.yml": "on: pull_request\n\njobs: 2\n",
    "src/own.py": "own = True\n",
    "src/added.py": "added = True\n",
    "models/notes.md": "ignored by git, and tracked\n",
    "k8s/limits.yaml": "memory: 2\n",
}


def wheel_of(folder, version, template):
    """Write a wheel that carries nothing but a template."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as archive:
        for name, text in template.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    path = folder / f"lockstep_mlops-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(project_template.ARCHIVE, packed.getvalue())
    return path


def git(*words):
    done = subprocess.run(["git", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def commit():
    git("add", "-A")
    git("-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", "edits")


@pytest.fixture
def wheels(tmp_path):
    return wheel_of(tmp_path, "0.1.0", FIRST), wheel_of(tmp_path, "0.2.0", SECOND)


@pytest.fixture
def project(tmp_path, wheels, monkeypatch):
    """A project of the first wheel, committed, with edits of its user."""
    folder = tmp_path / "shop"
    project_template.create(folder, wheels[0])
    monkeypatch.chdir(folder)
    commit()
    for name, text in EDITS.items():
        (folder / name).write_text(text)
    (folder / "docs/unused.md").unlink()
    commit()
    return folder


def test_an_upgrade_keeps_every_edit(project, wheels, capsys):
    assert cli.main(["upgrade", str(wheels[1])]) == 0
    assert {name: (project / name).read_text() for name in MERGED} == MERGED
    assert not (project / "docs/unused.md").exists()
    assert [path.name for path in (project / "wheels").iterdir()] == [wheels[1].name]
    assert files.sha256(wheels[1]) in (project / "requirements-lockstep.txt").read_text()
    assert "changed   src/added.py" in capsys.readouterr().out
    commit()
    assert cli.main(["upgrade", str(wheels[1])]) == 0
    assert git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("name", "edit", "shown"),
    [
        pytest.param("k8s/limits.yaml", "memory: 3\n", "memory: 3\n=======\nmemory: 2\n", id="the same line"),
        pytest.param("k8s/limits.yaml", None, "memory: 2\n", id="deleted here and changed there"),
        pytest.param("src/added.py", "mine = True\n", "mine = True\n=======\nadded = True\n", id="added twice"),
    ],
)
def test_a_conflict_is_listed_and_shown_and_loses_nothing(project, wheels, capsys, name, edit, shown):
    path = project / name
    path.write_text(edit) if edit else path.unlink()
    commit()
    assert cli.main(["upgrade", str(wheels[1])]) == 1
    assert f"CONFLICT  {name}\n" in capsys.readouterr().out
    assert shown in path.read_text()
    assert {each: (project / each).read_text() for each in MERGED if each != name} == {
        each: text for each, text in MERGED.items() if each != name
    }
    git("reset", "--hard", "--quiet")
    assert (path.read_text() if edit else path.exists()) == (edit or False)
    assert git("status", "--porcelain") == ""


def test_edits_without_a_commit_are_not_touched(project, wheels):
    (project / "params.yaml").write_text("a: 5\n")
    with pytest.raises(ConfigError, match="without a commit"):
        cli.main(["upgrade", str(wheels[1])])
    assert (project / "params.yaml").read_text() == "a: 5\n"


def test_a_file_that_git_does_not_track_is_not_overwritten(project, wheels):
    (project / "src/added.py").write_text("mine\n")
    with pytest.raises(ConfigError, match="untracked working tree files"):
        cli.main(["upgrade", str(wheels[1])])
    assert (project / "src/added.py").read_text() == "mine\n"
    assert git("status", "--porcelain") == "?? src/added.py\n"


@pytest.mark.parametrize(
    ("lost", "said"), [("requirements-lockstep.txt", "there is no requirements"), ("wheels", "no wheel of the digest")]
)
def test_a_project_without_its_wheel_is_named(project, wheels, lost, said):
    git("rm", "-rq", lost)
    with pytest.raises(ConfigError, match=said):
        cli.main(["upgrade", str(wheels[1])])
