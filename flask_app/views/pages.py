"""The form and its answer, for people."""

import json
import secrets
import shlex
from typing import Any

from flask import Blueprint, current_app, g, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, UnsupportedMediaType

from flask_app import errors
from flask_app.admission import csrf
from flask_app.admission.transfer import check_transfer
from flask_app.errors import listing
from flask_app.forms import controls, explanation_chart
from flask_app.models import model_service
from flask_app.models.model_service import ModelService, Serving
from flask_app.prediction import explanation, log, prediction_service
from flask_app.prediction.prediction_service import PredictionResult
from flask_app.protocols import strict_json
from lockstep.data.schema import RowsRefused, label_name
from lockstep.html import formatting

blueprint = Blueprint("pages", __name__)

BARS = 10
LONGEST_CODE = 20_000  # A longer request is not repeated as code.
WHOLE = 2.0**53


@blueprint.get("/", defaults={"name": ""})
@blueprint.get("/models/<name>")
def show_form(name: str) -> ResponseReturnValue:
    """Show the form of a model, by default the first, filled with its examples."""
    return page(asked(name))


def asked(name: str) -> Serving:
    """Return the model of this name that serves, or the default one for no name.

    Raises NotFound: it is not served here.
    Raises NoModel: it is not loaded yet.
    """
    return service_of(name).require()


def service_of(name: str) -> ModelService:
    """Return the service of the model of this name, or of the default one for no name."""
    return model_service.named(current_app, name) if name else model_service.default(current_app)


@blueprint.app_errorhandler(csrf.InvalidToken)
def ask_again(error: csrf.InvalidToken) -> ResponseReturnValue:
    """Show the form again with what was typed and a new token, so that one click sends it."""
    try:
        serving = asked((request.view_args or {}).get("name", ""))
    except HTTPException as other:
        return errors.on_http_exception(other)
    if not errors.wants_page():
        return errors.on_http_exception(error)
    typed = controls.submitted(request.form, serving.predictor.schema)
    if not typed.keys() & serving.predictor.schema.kinds.keys():
        return page(serving, notice=error.description), 403
    return page(serving, controls.fields(serving.predictor.schema, typed), notice=error.description), 403


def answer_form(service: ModelService) -> ResponseReturnValue:
    """Answer what was typed on the same page, or say beside each control what is wrong."""
    serving = service.require()
    check_transfer()
    if request.files:
        raise UnsupportedMediaType("This form takes no files.")
    schema = serving.predictor.schema
    typed = controls.submitted(request.form, schema)
    row = controls.parse(request.form, schema)
    strict_json.refuse_floods([row], schema)
    answered = prediction_service.answer_by_chosen(
        service, lambda chosen: chosen.predictor.schema.check([row]), request.form.get(controls.IDEMPOTENCY_KEY, "")
    )
    explain = controls.EXPLAIN in request.form.keys() & controls.form_fields_of(request.form, schema)
    explanation_view = explanation_chart.build(answered, explain)
    return page(
        serving, controls.fields(schema, typed), result=_result(answered), why=explanation_view, explain=explain
    )


def refuse_form(service: ModelService, error: RowsRefused) -> ResponseReturnValue:
    """Show the form again with what was typed, and beside each control what is wrong."""
    g.refused_values = error.faults
    serving = service.require()
    schema = serving.predictor.schema
    typed = controls.submitted(request.form, schema)
    others = listing(controls.leftover(schema, error.faults))
    return page(serving, controls.fields(schema, typed, error.faults), others=others), 422


def page(serving: Serving, fields: list[controls.Field] | None = None, **content: Any) -> str:
    """Return the page, with the examples in the form if no fields are given."""
    fields = fields or controls.fields(serving.predictor.schema)
    names = [service.name for service in model_service.all_of(current_app)]
    where = {
        "own": _own(serving),
        "address": _address(serving),
        "card": _card(serving),
        "names": names,
        "logged": log.from_app(current_app).on,
        "explain_box": controls.EXPLAIN if explanation.offered(serving.predictor) == "asked" else "",
        "idempotency": (controls.IDEMPOTENCY_KEY, secrets.token_hex(16) if csrf.from_browser() else ""),
    }
    return render_template("form.html", serving=serving, fields=fields, **where, **content)


def _own(serving: Serving) -> dict[str, str]:
    """Return what the addresses of a model name, nothing for the default one."""
    return {} if serving.name == model_service.default(current_app).name else {"name": serving.name}


def _card(serving: Serving) -> str:
    model_args: dict[str, Any] = _own(serving)
    return url_for("card.show", **model_args)


def _address(serving: Serving, external: bool = False) -> str:
    model_args = _own(serving)
    return url_for("predict.predict_with" if model_args else "predict.predict", _external=external, **model_args)


def _result(answered: PredictionResult) -> dict[str, Any]:
    """Return an answer as the page shows it: the label large, the likeliest labels first."""
    (answer,) = answered.records()
    bars = sorted(answer.get("probabilities", {}).items(), key=lambda bar: -bar[1])
    label = label_name(answer["prediction"]) if bars else json.dumps(answer["prediction"])
    drawn = [(name, share, percent(share)) for name, share in bars]
    shown = {"bars": drawn[:BARS], "more_bars": drawn[BARS:]}
    return {"id": answer["id"], "version": answered.serving.version, "label": label, "code": _code(answered), **shown}


def percent(share: float) -> str:
    """Write a probability so that only certainty reads as 0 or 100, without its unit."""
    return formatting.percent(share).removesuffix(f"{formatting.NARROW}%")


def _code(answered: PredictionResult) -> dict[str, str]:
    """Return the request that a program would send for the same answer, as JSON and as a curl command."""
    rows = answered.serving.predictor.schema.objects(answered.rows)
    body = json.dumps({"rows": [{name: _plain(value) for name, value in row.items()} for row in rows]})
    if len(body) > LONGEST_CODE:
        return {}
    address = shlex.quote(_address(answered.serving, external=True))
    return {
        "JSON": body,
        "curl": f"curl {address} \\\n  -H 'Content-Type: application/json' \\\n  -d {shlex.quote(body)}",
    }


def _plain(value: float | str | None) -> int | float | str | None:
    """Write a whole number without its point."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < WHOLE else value
