"""The web app: a form for people and JSON for programs, answered by the Production model."""

from typing import Any

from flask import Flask
from flask.json.provider import DefaultJSONProvider

import lockstep  # noqa: F401 - pins the numeric libraries before anything loads them
from flask_app import errors
from flask_app.admission import csrf, drain, guard, headers, transfer, url_prefix
from flask_app.forms.csv_upload import InMemoryRequest
from flask_app.models import model_service
from flask_app.models.model_service import Connect
from flask_app.observability import refusals, snapshots, telemetry
from flask_app.prediction import log, prediction_service
from flask_app.views import (
    admin,
    capstone,
    docs,
    feedback,
    files,
    health,
    invocations,
    model_card,
    open_inference,
    pages,
    predict,
    predictions,
    retrain,
)
from flask_app.views import dashboard as dashboards
from lockstep.config.settings import Settings

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
    services = model_service.init_app(app, settings, registry)
    drain.init_app(app)
    errors.init_app(app)
    url_prefix.init_app(app, settings)  # within the ProxyFix of the guard, whose trusted header it reads
    guard.init_app(app, settings)
    transfer.init_app(app)  # runs last of what changes an answer
    headers.init_app(app)
    csrf.init_app(app, settings)
    telemetry.init_app(app, services, settings)
    prediction_service.init_app(app, settings)
    log.init_app(app, settings)
    snapshots.init_app(app, settings)
    refusals.init_app(app, settings)
    retrain.init_app(app, settings)
    people = (pages, files, feedback, health, model_card, dashboards, docs)
    for view in (*people, predict, invocations, open_inference, capstone, predictions, admin, retrain):
        app.register_blueprint(view.blueprint)
    return app
