from pathlib import Path

import pytest

from lockstep import paths


@pytest.fixture
def project(tmp_path):
    (tmp_path / "params.yaml").touch()
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "src" / "deep").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("start", [".", "src", "src/deep"])
def test_the_root_is_found_from_inside(project, start):
    assert paths.find_root((project / start).resolve()) == project


@pytest.mark.parametrize("lost", ["params.yaml", "dvc.yaml"])
def test_both_files_make_a_root(project, lost):
    (project / lost).unlink()
    assert paths.find_root(project / "src") is None


def test_every_path_is_relative_to_the_root():
    own = {name: value for name, value in vars(paths).items() if isinstance(value, Path)}
    assert len(own) > 20
    assert not [name for name, path in own.items() if path.is_absolute() or ".." in path.parts]
    assert len(set(own.values())) == len(own)


@pytest.mark.parametrize(
    ("project", "copy"),
    [
        (".", ".dvc/tmp/exps/standalone1/"),
        ("part", ".dvc/tmp/exps/tmp1/part"),  # DVC's root lies above the project
        ("part", "part/.dvc/tmp/exps/tmp1/part"),  # git's root lies above DVC's
    ],
)
def test_a_copy_for_an_experiment_leads_home(tmp_path, project, copy):
    for folder in (tmp_path / project, tmp_path / copy):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "params.yaml").touch()
        (folder / "dvc.yaml").touch()

    assert paths.home(tmp_path / copy) == (tmp_path / project).resolve()


@pytest.mark.parametrize("folder", [".", "exps", ".dvc/tmp", ".dvc/tmp/exps", ".dvc/tmp/exps/left"])
def test_any_other_folder_is_its_own_home(tmp_path, folder):
    assert paths.home(tmp_path / folder) == tmp_path / folder
