import pytest

from lockstep import cli, files
from lockstep.errors import ConfigError
from lockstep.lifecycle import project_template
from lockstep.runtime.release import DISTRIBUTION
from tests.lockstep.commands.test_upgrade import FIRST, wheel_of
from tests.root import ROOT


@pytest.fixture
def wheel(tmp_path):
    return wheel_of(tmp_path, "0.1.0", FIRST)


def test_a_project_has_the_template_the_wheel_and_its_digest(tmp_path, wheel):
    assert cli.main(["new", str(tmp_path / "a" / "shop"), "--wheel", str(wheel)]) == 0
    folder = tmp_path / "a" / "shop"
    assert {name: (folder / name).read_text() for name in FIRST} == FIRST
    assert (folder / "wheels" / wheel.name).read_bytes() == wheel.read_bytes()
    pin = (folder / "requirements-lockstep.txt").read_text()
    assert pin == f"lockstep-mlops==0.1.0 --hash=sha256:{files.sha256(wheel)}\n"
    assert (folder / ".git").is_dir()
    assert [path.name for path in folder.parent.iterdir()] == ["shop"]


def test_a_folder_with_files_is_left_alone(tmp_path, wheel):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        project_template.create(tmp_path / "shop", wheel)
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("content", [None, b"", b"no zip"])
def test_what_is_no_wheel_of_ours_is_refused_and_leaves_nothing(tmp_path, content):
    wheel = tmp_path / "other-1.0-py3-none-any.whl"
    if content is not None:
        wheel.write_bytes(content)
    with pytest.raises(ConfigError, match="is no wheel of lockstep-mlops"):
        project_template.create(tmp_path / "shop", wheel)
    assert not (tmp_path / "shop").exists()


def test_a_library_that_was_not_installed_from_a_wheel_asks_for_one(monkeypatch):
    monkeypatch.setattr(project_template, "DISTRIBUTION", "pytest")  # which came from the package index
    with pytest.raises(ConfigError, match="not at hand") as missing:
        project_template.installed_wheel()
    assert "--wheel" in missing.value.hint


@pytest.mark.parametrize("name", ["errors.py", "modeling/catalog.py", "compute/dask.py"])
def test_a_hint_installs_the_extras_of_this_distribution(name):
    assert f"pip install '{DISTRIBUTION}[" in (ROOT / "src/lockstep" / name).read_text(encoding="utf-8")
