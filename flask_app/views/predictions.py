"""For those who run the service: page through the prediction log; the guard asks for the token."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint, current_app, request
from msgspec import Meta, Struct
from werkzeug.exceptions import ServiceUnavailable, UnprocessableEntity

from flask_app.errors import RETRY_AFTER_S
from flask_app.prediction import log
from lockstep.errors import StoreError
from lockstep.prediction_log.records import Variant

blueprint = Blueprint("predictions", __name__)

MOST = 1000
CONTENTS = ("row", "key")  # What says something of the one whom a prediction is about.


class LogFilter(Struct, forbid_unknown_fields=True):
    """Which predictions: all that is named must hold. The newest come first, `cursor` goes on where an answer ended."""

    model: str = ""
    version: str = ""
    variant: Variant | Literal[""] = ""
    since: datetime | None = None
    until: datetime | None = None
    labelled: bool = False
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 100
    cursor: Annotated[int, Meta(ge=1)] | None = None


@blueprint.get("/predictions")
def show() -> dict[str, Any]:
    """Return logged predictions with their labels, the newest first."""
    log_filter = _asked()
    arguments = msgspec.structs.asdict(log_filter)
    limits = {
        "since_us": _us(arguments.pop("since")),
        "until_us": _us(arguments.pop("until")),
        "before": arguments.pop("cursor"),
    }
    try:
        rows = log.from_app(current_app).ask("predictions", **arguments, **limits)
    except StoreError as error:
        raise ServiceUnavailable(f"{error.problem}.", retry_after=RETRY_AFTER_S) from None
    following = rows[-1]["seq"] if len(rows) == log_filter.limit else None
    return {"predictions": [_shown(row) for row in rows], "next": None if following is None else str(following)}


@blueprint.get("/logs/recent")
def recent() -> dict[str, Any]:
    """Return logged predictions without the contents of their rows, the newest first."""
    page = show()
    return page | {"predictions": [{k: v for k, v in row.items() if k not in CONTENTS} for row in page["predictions"]]}


def _asked() -> LogFilter:
    """Return what the address asks for. Raises UnprocessableEntity: it is unknown, or asked for twice."""
    parameters = request.args.to_dict(flat=False)
    if twice := [name for name, values in parameters.items() if len(values) > 1]:
        raise UnprocessableEntity(f"{twice[0]!r} is given twice.")
    try:
        return msgspec.convert({name: values[0] for name, values in parameters.items()}, LogFilter, strict=False)
    except msgspec.ValidationError as error:
        raise UnprocessableEntity(f"{error}.") from None


def _us(moment: datetime | None) -> int:
    """Return a moment in microseconds since 1970, in UTC unless it says otherwise; 0 if there is none."""
    if moment is None:
        return 0
    return max(1, int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6))


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return a prediction as the API prints it: times by ISO 8601, the row in the order of its version's schema."""
    named = {name: row[name] for name in ("id", "model", "version", "variant", "key", "latency_us", "row", "score")}
    shown = named | {"at": _moment(row["at_us"]), "prediction": row["value"], "shares": row["shares"]}
    labelled = {"label": row["label"], "labelled_at": _moment(row["labelled_us"])} if row["labelled"] else {}
    return shown | labelled


def _moment(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="microseconds")
