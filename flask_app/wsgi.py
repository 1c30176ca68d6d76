"""What the server calls in each of its processes; the one place of the app that reads the environment."""

import os

from flask_app import create_app, model_service
from flask_app.front import Front
from lockstep import logger
from lockstep.config import Settings


def build() -> Front:
    """Return the app with its logger started, its model service watching the registry, and if it can be a model."""
    settings = Settings.read(os.environ)
    logger.start(settings.log_level)
    app = create_app(settings)
    service = model_service.of(app)
    service.start()
    service.wait()
    return Front(app)
