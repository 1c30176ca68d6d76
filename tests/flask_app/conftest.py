"""Bundles, a registry that a test can break, and apps on top of them."""

import pytest

from flask_app import create_app
from flask_app.models import model_service
from lockstep.config.settings import Settings
from tests.flask_app.standins import TASKS, FolderRegistry, make_bundle


@pytest.fixture(scope="session")
def bundles(tmp_path_factory):
    """A bundle for each task, and two more binary ones to move between."""
    root = tmp_path_factory.mktemp("bundles")
    made = {task: make_bundle(task, root / task) for task in TASKS}
    made["tree"] = make_bundle("binary", root / "tree", "decision_tree")
    return made


@pytest.fixture(params=list(TASKS))
def bundle(request, bundles):
    """A bundle, one for each task in turn."""
    return bundles[request.param]


@pytest.fixture
def registry():
    """An empty registry."""
    return FolderRegistry()


@pytest.fixture
def settings(tmp_path):
    """Settings of a machine with nothing on it."""
    environment = {"LOCKSTEP_MODEL_NAME": "demo", "LOCKSTEP_STATE": str(tmp_path / "state dir")}
    return Settings.read(environment)


@pytest.fixture
def serve(settings, registry):
    """Return a function that gives an app which serves a bundle as version 1."""

    def make(folder):
        registry.add("1", folder)
        app = create_app(settings, registry.connect)
        model_service.default(app).look()
        return app

    return make


@pytest.fixture
def app(serve, bundles):
    """An app that serves the binary model."""
    return serve(bundles["binary"])


@pytest.fixture
def client(app):
    """A client of the app."""
    return app.test_client()


@pytest.fixture
def empty(settings, registry):
    """An app without a model."""
    registry.go_down()
    app = create_app(settings, registry.connect)
    model_service.default(app).look()
    return app
