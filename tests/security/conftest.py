"""Apps with every lock on, beside those that the tests of the app use."""

import dataclasses

import pytest

from flask_app import create_app
from flask_app.models import model_service
from tests.flask_app.conftest import app, bundles, client, empty, registry, serve, settings  # noqa: F401

KEY, TOKEN = "first-key-0123456789", "admin-token-0123456789"


@pytest.fixture
def locked(settings, registry, bundles):  # noqa: F811
    """Return a function that gives an app with keys, a token and further settings, which serves the binary model."""
    registry.add("1", bundles["binary"])

    def make(**changes):
        locks = {"api_keys": KEY, "admin_token": TOKEN, **changes}
        made = create_app(dataclasses.replace(settings, **locks), registry.connect)
        model_service.default(made).look()
        return made

    return make
