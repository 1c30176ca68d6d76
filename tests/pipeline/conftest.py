import pytest

from tests.pipeline.project import Project, copy_project


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """The default data after `dvc repro`, in a folder with a space; tests that change it take a copy."""
    project = copy_project(tmp_path_factory.mktemp("a project") / "lock step")
    project.repro()
    return project
