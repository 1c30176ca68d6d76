"""The project after one run of the pipeline, made once for all tests that begin there."""

import pytest

from tests.pipeline.project import Project, copy_of, copy_project
from tests.shared import make_once

NAME = "lock step"
"""With a space, as folders of people have."""


def run_pipeline(folder):
    project = copy_project(folder / NAME)
    project.repro()
    project.commit("run")


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """The project after `dvc repro`, its results committed; tests that change it take a copy."""
    made = Project(make_once(tmp_path_factory, "a project", run_pipeline) / NAME)
    return copy_of(made, tmp_path_factory.mktemp("a project") / NAME)
