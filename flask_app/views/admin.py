"""For those who run the service: look at the registry now, and go back one version; the guard asks for the token."""

import logging
from typing import Annotated, TypeVar

import msgspec
from flask import Blueprint, current_app, request
from flask.typing import ResponseReturnValue
from msgspec import Meta, Struct
from werkzeug.exceptions import BadRequest, Conflict, ServiceUnavailable, UnprocessableEntity, UnsupportedMediaType

from flask_app.admission.transfer import check_transfer
from flask_app.errors import RETRY_AFTER_S
from flask_app.models import model_service
from flask_app.models.loading import explain
from flask_app.models.model_service import ModelService
from lockstep.errors import RegistryError, TrackingError
from lockstep.registry.history import Event

blueprint = Blueprint("admin", __name__, url_prefix="/admin")
log = logging.getLogger("admin")

JSON = "application/json"
Words = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")]


class Reload(Struct, forbid_unknown_fields=True):
    """Which model to look after; all if none is named."""

    model: str = ""


class Rollback(Struct, forbid_unknown_fields=True):
    """Which model goes back, by default the first, and what the history says about it."""

    reason: Words
    actor: Words = "admin"
    model: str = ""


Body = TypeVar("Body", bound=Struct)


@blueprint.post("/reload")
def reload() -> ResponseReturnValue:
    """Look at the registry now and follow it; other processes do so within seconds by themselves."""
    order = body(Reload)
    services = [_service(order.model)] if order.model else model_service.all_of(current_app)
    for service in services:
        service.look()
        service.challenger.look()
    return {"models": [_state(service) for service in services]}


@blueprint.post("/rollback")
def rollback() -> ResponseReturnValue:
    """Make the version Production again that was it before, on the record, and follow."""
    order = body(Rollback)
    service = _service(order.model)
    event = _roll_back(service, Event(actor=order.actor, reason=order.reason))
    log.warning("%s went back to version %s from %s: %s", service.name, event.version, event.previous, order.reason)
    service.look()
    return {"version": event.version, "previous": event.previous, "at": event.at, **_state(service)}


def _roll_back(service: ModelService, event: Event) -> Event:
    try:
        return service.registry().rollback(event)
    except RegistryError as error:
        raise Conflict(explain(error)) from None
    except TrackingError as error:
        log.warning("a rollback of %s failed: %s", service.name, error)
        raise ServiceUnavailable(explain(error), retry_after=RETRY_AFTER_S) from None


def _service(name: str) -> ModelService:
    return model_service.named(current_app, name) if name else model_service.default(current_app)


def _state(service: ModelService) -> dict[str, str | None]:
    serving = service.serving()
    return {"model": service.name, "serving": serving.version if serving else None, "fault": service.fault}


def body(kind: type[Body]) -> Body:
    """Return the JSON of the request; no body at all is an empty object.

    Raises BadRequest: it is not JSON.
    Raises UnprocessableEntity: it says something else than it may.
    """
    check_transfer()
    content = request.get_data()
    if content and request.mimetype != JSON:
        raise UnsupportedMediaType(f"Send {JSON}.")
    try:
        return msgspec.json.decode(content or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise UnprocessableEntity(f"{error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("The body is not JSON.") from None
