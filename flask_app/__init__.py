"""The web app: a form for people and JSON for programs, answered by the Production model."""

from typing import Any

from flask import Flask
from flask.json.provider import DefaultJSONProvider

import lockstep  # noqa: F401 - pins the numeric libraries before anything loads them
from flask_app import answering, csrf, dashboard, drain, errors, guard, model_service, security, store, telemetry
from flask_app.model_service import Connect
from flask_app.upload import InMemoryRequest
from flask_app.views import (
    admin,
    capstone,
    card,
    docs,
    feedback,
    files,
    health,
    invocations,
    open_inference,
    pages,
    predict,
    predictions,
    retrain,
)
from flask_app.views import dashboard as dashboards
from lockstep.config import Settings

MAX_FORM_FIELDS = 20_000


class StrictJSON(DefaultJSONProvider):
    """JSON with the keys in the order given, and never NaN or infinity."""

    sort_keys = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Serialize, refusing what is not JSON."""
        return super().dumps(obj, allow_nan=False, **kwargs)


def create_app(settings: Settings, registry: Connect | None = None) -> Flask:
    """Return the app; `registry` connects to the model registry, by default the one that the settings name.

    The model service is idle until someone calls its `start`.
    """
    app = Flask(__name__)
    app.json = StrictJSON(app)
    app.request_class = InMemoryRequest
    app.config["MAX_FORM_PARTS"] = MAX_FORM_FIELDS
    services = model_service.install(app, settings, registry)
    drain.install(app)
    errors.install(app)
    guard.install(app, settings)
    security.install(app)
    csrf.install(app, settings)
    telemetry.install(app, services, settings)
    answering.install(app, settings)
    store.install(app, settings)
    dashboard.install(app, settings)
    retrain.install(app, settings)
    people = (pages, files, feedback, health, card, dashboards, docs)
    for view in (*people, predict, invocations, open_inference, capstone, predictions, admin, retrain):
        app.register_blueprint(view.blueprint)
    return app
