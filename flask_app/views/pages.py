"""The form and its answer, for people."""

import json
from typing import Any

from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import UnsupportedMediaType

from flask_app import answering, form, model_service
from flask_app.errors import listing
from flask_app.model_service import Serving
from flask_app.views.checks import check_transfer, refuse_floods
from lockstep.data.schema import RowsRefused, label_name

blueprint = Blueprint("pages", __name__)

BARS = 10


@blueprint.get("/")
def show_form() -> ResponseReturnValue:
    """Show the form of the model that serves, filled with its examples."""
    serving = model_service.of(current_app).require()
    return render_template("form.html", serving=serving, fields=form.fields(serving.predictor.schema))


def answer_form(serving: Serving) -> ResponseReturnValue:
    """Answer what was typed on the same page, or say beside each control what is wrong."""
    check_transfer()
    if request.files:
        raise UnsupportedMediaType("This form takes no files.")
    schema = serving.predictor.schema
    typed = form.submitted(request.form, schema)
    try:
        row = form.parse(request.form, schema)
        refuse_floods([row], serving)
        rows = schema.check([row])
    except RowsRefused as refused:
        fields = form.fields(schema, typed, refused.faults)
        others = listing(form.leftover(schema, refused.faults))
        return render_template("form.html", serving=serving, fields=fields, others=others), 422
    (answer,) = answering.answer(serving, rows).records()
    fields = form.fields(schema, typed)
    return render_template("form.html", serving=serving, fields=fields, result=_result(answer, serving))


def _result(answer: dict[str, Any], serving: Serving) -> dict[str, Any]:
    """Return an answer as the page shows it: the label large, the likeliest labels first."""
    bars = sorted(answer.get("probabilities", {}).items(), key=lambda bar: -bar[1])
    label = label_name(answer["prediction"]) if bars else json.dumps(answer["prediction"])
    return {"id": answer["id"], "label": label, "bars": bars[:BARS], "more_bars": bars[BARS:]}
