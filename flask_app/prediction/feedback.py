"""What was true after all: labels for predictions, checked, and written where predictions are.

A label that comes again changes nothing, a later one wins, and all are kept.
"""

import csv
import hashlib
import io
import json
import logging
import math
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
from flask import Flask, current_app, request
from werkzeug.exceptions import BadRequest, Conflict, NotFound, RequestEntityTooLarge, ServiceUnavailable

from flask_app.admission import guard
from flask_app.errors import RETRY_AFTER_S
from flask_app.models import model_service
from flask_app.observability import telemetry
from flask_app.prediction import log as store
from flask_app.prediction.log import PredictionLog
from lockstep.data import cells
from lockstep.data.schema import FieldError, Label, RowsRefused, Schema, as_category, label_name
from lockstep.errors import StoreError
from lockstep.prediction_log.records import LabelState, Scalar

log = logging.getLogger("feedback")

Outcome = Literal["new", "changed", "unchanged", "waiting"]
COLUMNS, VALUE = ["id", "label"], "value"
LONGEST_ID = 64
# How long feedback waits for the log before it is taken unchecked; for each label of a file so much longer.
PATIENCE_S, EACH_S = 3.0, 0.001
NAMED = 20  # So many labels are listed when another is refused.
NO_NUMBER = "accepted: a finite number, or nothing"
UNKNOWN = "no prediction with this id is logged"


@dataclass(frozen=True)
class SubmittedLabel:
    """What somebody says was true and worth, as JSON has it or still as text, and in which line of a file."""

    prediction: str
    label: Scalar
    line: int = 0
    is_text: bool = False
    value: float | None = None


@dataclass(frozen=True)
class LabelResult:
    """A label as it was taken, and what it did."""

    label: Scalar
    outcome: Outcome


class NoSuchPrediction(NotFound):
    """Feedback names a prediction that was never answered, or that the log no longer keeps."""

    def __init__(self) -> None:
        super().__init__("No prediction with this id is logged. An id stands in each answer.")


def take(submitted: Sequence[SubmittedLabel], source: str, key: str = "") -> list[LabelResult]:
    """Write down what fits, all of it or nothing; while the log's database is away, all waits for it.

    With an idempotency key, the same label for the same prediction is the same saying, however often it comes.

    Raises RowsRefused: a prediction is unknown, or its model does not answer such labels.
    Raises Conflict: nothing is logged here.
    Raises ServiceUnavailable: the disk is full.
    """
    predictions = _log()
    logged = _known(predictions, submitted)
    submitted = [replace(label, label=_meant(label, logged)) if label.is_text else label for label in submitted]
    faults = [FieldError(label.line, *wrong) for label in submitted if (wrong := _wrong(label, logged))]
    if faults:
        raise RowsRefused(faults)
    results = [LabelResult(label.label, _outcome(label, logged)) for label in submitted]
    author = guard.key_of(request.environ)
    for label, result in zip(submitted, results, strict=True):
        before = (logged or {}).get(label.prediction, LabelState("", ""))
        if result.outcome != "unchanged":
            value = before.value if label.value is None else label.value
            predictions.label(label.prediction, label.label, _event(label, key), source, value, author)
            _count(label, before)
    return results


def _count(label: SubmittedLabel, before: LabelState) -> None:
    """Count a label that is new, and by how much its value is more than what was said before."""
    if schema := schemas(current_app).get(before.model):
        more = 0.0 if label.value is None else label.value - (before.value or 0.0)
        telemetry.from_app(current_app).count_feedback(
            before.model, schema.labels, label.label, 1 - before.labelled, more
        )


def read(content: bytes, most: int) -> list[SubmittedLabel]:
    """Read a CSV file with the columns `id` and `label`, and perhaps `value`, what the outcome was worth.

    Raises BadRequest: it is no such file.
    Raises RequestEntityTooLarge: it has more than `most` lines.
    Raises RowsRefused: a line has too few or too many cells, a value that is no number, or the id of another line.
    """
    try:
        lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise BadRequest("The file is no CSV in UTF-8.") from None
    header = [name.strip().lower() for name in lines[0]] if lines else []
    if header not in (COLUMNS, [*COLUMNS, VALUE]):
        raise BadRequest(f"The first line of the file must be {','.join(COLUMNS)}, or {','.join([*COLUMNS, VALUE])}.")
    rows = [(number, cells) for number, cells in enumerate(lines[1:], 2) if cells]
    if len(rows) > most:
        raise RequestEntityTooLarge(f"At most {most} lines a file.")
    faults = [
        FieldError(number, "", f"{len(cells)} cells, but {len(header)} belong here")
        for number, cells in rows
        if len(cells) != len(header)
    ]
    faults = faults or _twice(rows) or _bad_values(rows)
    if faults:
        raise RowsRefused(faults)
    return [
        SubmittedLabel(cells[0].strip(), cells[1].strip(), number, is_text=True, value=amount(*cells[2:]))
        for number, cells in rows
    ]


def amount(text: str = "") -> float | None:
    """Return the value that a text says, or None for an empty one. Raises ValueError: it is no finite number."""
    if text.strip() and not math.isfinite(float(text)):
        raise ValueError(text)
    return float(text) if text.strip() else None


def counts(results: Sequence[LabelResult]) -> dict[str, int]:
    """Return how many labels were new, changed, unchanged, or wait."""
    totals = Counter(result.outcome for result in results)
    return {
        name: totals[name] for name in ("new", "changed", "unchanged", "waiting") if name != "waiting" or totals[name]
    }


def problem(schema: Schema, label: Scalar) -> str | None:
    """Return what is wrong with a label, or None; nothing is converted."""
    if schema.labels:
        fits = any(type(label) is type(accepted_label) and label == accepted_label for accepted_label in schema.labels)
        return None if fits else f"the model has no such label; accepted: {accepted(schema.labels)}"
    try:
        number = isinstance(label, int | float) and not isinstance(label, bool) and math.isfinite(label)
    except OverflowError:
        number = False
    return None if number else "the model answers numbers; accepted: a finite number"


def accepted(labels: Sequence[Label]) -> str:
    """Write labels as JSON has them, not too many."""
    more = f" and {len(labels) - NAMED} more" if len(labels) > NAMED else ""
    return ", ".join(json.dumps(label, ensure_ascii=False) for label in labels[:NAMED]) + more


def schemas(app: Flask) -> dict[str, Schema]:
    """Return the schemas of the models that serve, by name."""
    loaded = ((service.name, service.serving()) for service in model_service.all_of(app))
    return {name: serving.predictor.schema for name, serving in loaded if serving}


def _log() -> PredictionLog:
    predictions = store.from_app(current_app)
    if not predictions.on:
        raise Conflict("The prediction log is switched off, so there is nothing that feedback could be about.")
    if predictions.full:
        raise ServiceUnavailable("The disk is full. Nothing was written.", retry_after=RETRY_AFTER_S)
    return predictions


def _known(predictions: PredictionLog, submitted: Sequence[SubmittedLabel]) -> Mapping[str, LabelState] | None:
    """Return what is logged under the ids, or None while nobody can tell."""
    within_s = PATIENCE_S + EACH_S * len(submitted)
    try:
        reply = predictions.ask("known", within_s, ids=list({label.prediction for label in submitted}))
    except StoreError as error:
        log.warning("feedback waits, as the log cannot be asked: %s", error)
        return None
    return msgspec.convert(reply, dict[str, LabelState])


def _wrong(submitted: SubmittedLabel, logged: Mapping[str, LabelState] | None) -> tuple[str, str] | None:
    """Return which part of a saying is wrong and why; while the log is away, a label of any model here will do."""
    if not 0 < len(submitted.prediction) <= LONGEST_ID:
        return "id", UNKNOWN
    served = schemas(current_app)
    if logged is None:
        problems = [problem(schema, submitted.label) for schema in served.values()]
        return ("label", problems[0]) if problems and problems[0] and all(problems) else None
    if submitted.prediction not in logged:
        return "id", UNKNOWN
    schema = served.get(logged[submitted.prediction].model)
    fault = problem(schema, submitted.label) if schema else None
    return ("label", fault) if fault else None


def _outcome(submitted: SubmittedLabel, logged: Mapping[str, LabelState] | None) -> Outcome:
    if logged is None:
        return "waiting"
    before = logged[submitted.prediction]
    if not before.labelled:
        return "new"
    same = before.label == submitted.label and submitted.value in (None, before.value)
    return "unchanged" if same else "changed"


def _event(submitted: SubmittedLabel, key: str) -> str:
    if not key:
        return secrets.token_hex(16)
    said = (key, submitted.prediction, submitted.label, *([] if submitted.value is None else [submitted.value]))
    return hashlib.blake2b(repr(said).encode(), digest_size=16).hexdigest()


def _meant(submitted: SubmittedLabel, logged: Mapping[str, LabelState] | None) -> Scalar:
    """Return the label that a text means to the model that answered, else the text."""
    served, prediction = schemas(current_app), (logged or {}).get(submitted.prediction)
    candidates = [served[prediction.model]] if prediction and prediction.model in served else list(served.values())
    return next(
        (label for schema in candidates if (label := _parsed(str(submitted.label), schema)) is not None),
        submitted.label,
    )


def _parsed(text: str, schema: Schema) -> Scalar:
    """Return the label that a cell means, read as the target of the training file was; None if it means none."""
    described = schema.cell_format(schema.target)
    value = cells.parser(described)(text) if described else text
    if schema.labels:
        name = text if value is cells.ODD else as_category(value)
        return next((label for label in schema.labels if label_name(label) == name), None)
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(text) if text.isascii() and "_" not in text and math.isfinite(float(text)) else None
    except ValueError:
        return None


def _twice(rows: Sequence[tuple[int, list[str]]]) -> list[FieldError]:
    """Return a fault for each line that names a prediction again: which of them is true cannot be known."""
    first: dict[str, int] = {}
    faults = []
    for number, (prediction, *_) in rows:
        if first.setdefault(prediction.strip(), number) != number:
            faults.append(FieldError(number, "id", f"line {first[prediction.strip()]} names it too"))
    return faults


def _bad_values(rows: Sequence[tuple[int, list[str]]]) -> list[FieldError]:
    """Return a fault for each line whose value is no finite number."""
    faults = []
    for number, line in rows:
        try:
            amount(*line[2:])
        except ValueError:
            faults.append(FieldError(number, VALUE, NO_NUMBER))
    return faults
