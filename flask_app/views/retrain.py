"""For those who run the service: train again, and look what came of it; the guard asks for the token."""

import logging
from typing import Any

from flask import Blueprint, Flask, current_app, url_for
from flask.typing import ResponseReturnValue
from msgspec import Struct
from werkzeug.exceptions import Conflict, NotFound, ServiceUnavailable, UnprocessableEntity

from flask_app.errors import RETRY_AFTER_S
from flask_app.models import model_service
from flask_app.models.loading import explain
from flask_app.prediction import log as store
from flask_app.views import admin
from lockstep.config.settings import Settings
from lockstep.errors import ConfigError, StoreError
from lockstep.lifecycle.retraining.github import Repository
from lockstep.lifecycle.retraining.policy import RetrainRules

blueprint = Blueprint("retrain", __name__)
log = logging.getLogger("loop")


class Retrain(Struct, forbid_unknown_fields=True):
    """Why to train again, for the record, and which model, by default the first; one of the two is needed."""

    reason: admin.Words | None = None
    model: str = ""


@blueprint.post("/retrain")
def start() -> ResponseReturnValue:
    """Put a retraining in line, and say where to follow it; one runs at a time."""
    order = admin.body(Retrain)
    if order.model:
        model_service.named(current_app, order.model)
    elif order.reason is None:
        raise UnprocessableEntity("Name a reason or a model.")
    ticket = _ask("retrain", reason=order.reason or "", model=order.model)
    job = ticket["job"]
    where = url_for("retrain.follow", job=job["id"])
    if not ticket["new"]:
        raise Conflict(f"Job {job['id']} is {job['state']} already: follow it at {where}.")
    log.warning("retraining was asked for: job %s", job["id"])
    return job, 202, {"Location": where}


@blueprint.get("/retrain/<job>")
def follow(job: str) -> ResponseReturnValue:
    """Tell how a retraining is doing, why it ran and what came of it."""
    job_state = _ask("job", id=job)
    if job_state is None:
        raise NotFound("No job has this id.")
    return dict(job_state)


def init_app(app: Flask, settings: Settings) -> None:
    """Refuse rules of retraining that are none, before anybody waits for them to work.

    Raises ConfigError: a setting names what is no kind of alert, or half of what hands a retraining to GitHub.
    """
    app.extensions["retrain_rules"] = RetrainRules.of(settings)
    Repository.from_settings(settings)


def _ask(operation: str, **arguments: Any) -> Any:
    try:
        return store.from_app(current_app).ask(operation, **arguments)
    except StoreError as error:
        log.warning("%s; %s", error, error.hint)
        raise ServiceUnavailable("The prediction log is out of reach.", retry_after=RETRY_AFTER_S) from None
    except ConfigError as error:
        raise ServiceUnavailable(f"{explain(error)}.", retry_after=RETRY_AFTER_S) from None
