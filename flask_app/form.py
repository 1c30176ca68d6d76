"""The form: one control for each column of the schema, and back from what was typed to a row."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from werkzeug.datastructures import MultiDict

from lockstep.config import Kind
from lockstep.data.schema import Column, Fault, RowsRefused, Schema

LEGACY_TEXT = "text"
"""The field that copies of the capstone project send, whatever their text column is called."""

CHOICES_AS_LIST = 500
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?")


@dataclass(frozen=True)
class Field:
    """A control of the form: how it is drawn, what stands in it, and what is wrong with that."""

    id: str
    name: str
    control: str
    value: str
    hint: str
    needed: bool
    step: str = ""
    choices: tuple[str, ...] = ()
    problem: str = ""


def fields(schema: Schema, typed: Mapping[str, str] | None = None, faults: Sequence[Fault] = ()) -> list[Field]:
    """Return the controls in the order of the schema, filled with what was typed or else with the examples."""
    problems = {fault.column: fault.problem for fault in faults}
    return [
        _field(number, column, typed, problems.get(column.name, "")) for number, column in enumerate(schema.columns)
    ]


def leftover(schema: Schema, faults: Sequence[Fault]) -> list[Fault]:
    """Return the faults that belong to no control."""
    return [fault for fault in faults if fault.column not in schema.kinds]


def _field(number: int, column: Column, typed: Mapping[str, str] | None, problem: str) -> Field:
    value = _spelled(column.example) if typed is None else typed.get(column.name, "")
    control, step = CONTROLS[column.kind](column)
    free = problem and control not in ("select", "textarea")
    if problem and not value:
        problem = "a value is needed here"
    return Field(
        id=f"field-{number}",
        name=column.name,
        control="text" if free else control,
        value=value,
        hint=_hint(column),
        needed=not column.nullable and column.kind != "text",
        step=step,
        choices=column.categories,
        problem=problem,
    )


def _number_control(column: Column) -> tuple[str, str]:
    return "number", "1" if column.step == 1 else "any"


def _category_control(column: Column) -> tuple[str, str]:
    return ("select" if column.categories and len(column.categories) <= CHOICES_AS_LIST else "text"), ""


def _text_control(column: Column) -> tuple[str, str]:
    return "textarea", ""


def _date_control(column: Column) -> tuple[str, str]:
    example = str(column.example or "")
    if DAY.fullmatch(example):
        return "date", ""
    return ("datetime-local", "1") if MOMENT.fullmatch(example) else ("text", "")


CONTROLS: dict[Kind, Callable[[Column], tuple[str, str]]] = {
    "numeric": _number_control,
    "categorical": _category_control,
    "text": _text_control,
    "date": _date_control,
}


def _hint(column: Column) -> str:
    """Say what the column held in training, and whether it may stay empty."""
    parts = []
    if column.minimum is not None and column.maximum is not None:
        parts.append(f"{_spelled(column.minimum)} to {_spelled(column.maximum)}")
    if column.kind == "date" and column.example and _date_control(column)[0] == "text":
        parts.append(f"as in {column.example}")
    if column.nullable:
        parts.append("may be empty")
    return ", ".join(parts)


def _spelled(value: float | str | None) -> str:
    """Write a number without a needless `.0`, and nothing for None."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return "" if value is None else str(value)


def submitted(form: MultiDict[str, str], schema: Schema) -> dict[str, str]:
    """Return what was typed, by column; the one text column of a model may also be sent as `text`."""
    sent = {lines(name or ""): value for name, value in form.items()}  # a part of a multipart form may lack a name
    texts = [column.name for column in schema.columns if column.kind == "text"]
    if len(texts) == 1 and LEGACY_TEXT not in schema.kinds and LEGACY_TEXT in sent and lines(texts[0]) not in sent:
        sent[lines(texts[0])] = sent.pop(LEGACY_TEXT)
    names = {lines(name): name for name in schema.kinds}
    return {names.get(name, name): value for name, value in sent.items()}


def parse(form: MultiDict[str, str], schema: Schema) -> dict[str, Any]:
    """Return the row that a submitted form means; whether it fits is for the schema to say.

    Raises
    ------
    RowsRefused
        A field was sent twice.
    """
    twice = [Fault(0, name or "", "sent more than once") for name, values in form.lists() if len(values) > 1]
    if twice:
        raise RowsRefused(twice)
    columns = {column.name: column for column in schema.columns}
    return {
        name: PARSERS[columns[name].kind](value, columns[name]) if name in columns else value
        for name, value in submitted(form, schema).items()
    }


def lines(text: str) -> str:
    """Undo what browsers do to line ends."""
    return text.replace("\r\n", "\n")


def _parse_number(text: str, column: Column) -> float | str | None:
    text = text.strip()
    if not text:
        return None
    try:
        return float(text) if text.isascii() and "_" not in text else text
    except ValueError:
        return text


def _parse_category(text: str, column: Column) -> str | None:
    if not text and "" not in column.categories:
        return None
    return next((category for category in column.categories if lines(category) == lines(text)), text)


def _parse_text(text: str, column: Column) -> str | None:
    return lines(text) or (None if column.nullable else "")


def _parse_date(text: str, column: Column) -> str | None:
    return text.strip() or None


PARSERS: dict[Kind, Callable[[str, Column], Any]] = {
    "numeric": _parse_number,
    "categorical": _parse_category,
    "text": _parse_text,
    "date": _parse_date,
}
