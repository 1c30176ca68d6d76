"""What the server calls in each of its processes; the one place of the app that reads the environment."""

import os

from flask import Flask

from flask_app import create_app, model_service
from lockstep import logger
from lockstep.config import Settings


def build() -> Flask:
    """Return the app with its logger started and its model service watching the registry."""
    settings = Settings.read(os.environ)
    logger.start(settings.log_level)
    app = create_app(settings)
    model_service.of(app).start()
    return app
