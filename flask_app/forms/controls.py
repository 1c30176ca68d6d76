"""The form: one control for each column of the schema, and back from what was typed to a row."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from werkzeug.datastructures import MultiDict

from flask_app.admission.csrf import FIELD
from lockstep.config.params import Kind
from lockstep.data.schema import Column, FieldError, RowsRefused, Schema

EXPLAIN = "explain_answer"
IDEMPOTENCY_KEY = "idempotency_key"
# The form's own fields: the CSRF token, the tick box for an explanation, and a name for this very page.
FORM_FIELDS = (FIELD, EXPLAIN, IDEMPOTENCY_KEY)
PREFIX = "column:"
NOT_SUBMITTED = ("", "_charset_")  # Names that browsers do not submit, or fill in by themselves.
LEGACY_TEXT = "text"  # The field that copies of the capstone project send, whatever their text column is called.
# Where more characters were typed than the one, values longer than the other are not sent back: escaped, each may
# take five times its size.
MOST_ECHOED, LONGEST_ECHO = 200_000, 1_000
CHOICES_AS_LIST = 500
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?")
# Pairs of values, without regard to case, that a checkbox shows: unchecked and checked.
SWITCHES = {("0", "1"), ("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"), ("off", "on")}
# The last words of column names that are units, and how they are written.
UNITS = {
    "pct": "%", "percent": "%", "km": "km", "kg": "kg", "cm": "cm", "mm": "mm", "g": "g", "m2": "m\u00b2", "ms": "ms",
    "s": "s", "seconds": "seconds", "min": "min", "minutes": "minutes", "hours": "hours", "days": "days",
    "months": "months", "years": "years", "usd": "USD", "eur": "EUR", "gbp": "GBP", "mb": "MB", "gb": "GB",
}  # fmt: skip


@dataclass(frozen=True)
class Control:
    """How a column is typed in; a switch has two values, off and on."""

    kind: str
    step: str = ""
    switch: tuple[str, ...] = ()


@dataclass(frozen=True)
class Field:
    """A control of the form: how it is drawn, what stands in it, and what is wrong with that or worth a remark.

    `name` is the column's, `input_name` the one under which a browser submits the value.
    """

    id: str
    name: str
    input_name: str
    control: Control
    value: str
    example: str
    hint: str
    needed: bool
    choices: tuple[str, ...] = ()
    problem: str = ""
    remark: str = ""
    unit: str = ""
    left_out: bool = False


def fields(schema: Schema, typed: Mapping[str, str] | None = None, faults: Sequence[FieldError] = ()) -> list[Field]:
    """Return the controls in the order of the schema, filled with what was typed or else with the examples."""
    problems = {fault.column: fault.problem for fault in faults}
    drawn = [
        _field(number, column, typed, problems.get(column.name, ""), _unit_of_cells(column, schema))
        for number, column in enumerate(schema.columns)
    ]
    return drawn if sum(len(field.value) for field in drawn) <= MOST_ECHOED else list(map(_without_long_value, drawn))


def _unit_of_cells(column: Column, schema: Schema) -> str:
    """Return the unit that stood beside the numbers in the cells of the training file."""
    described = schema.cell_format(column.name) if column.kind == "numeric" else None
    return described.unit if described else ""


def leftover(schema: Schema, faults: Sequence[FieldError]) -> list[FieldError]:
    """Return the faults that belong to no control."""
    return [fault for fault in faults if fault.column not in schema.kinds]


def _field(number: int, column: Column, typed: Mapping[str, str] | None, problem: str, measured_in: str) -> Field:
    example = spelled(column.example)
    value = example if typed is None else typed.get(column.name, "")
    return Field(
        id=f"field-{number}",
        name=column.name,
        input_name=input_name(column.name),
        control=_drawn(control_of(column), value, problem),
        value=value,
        example=example,
        hint=_hint(column, measured_in or unit(column.name)),
        unit=measured_in,
        needed=not column.nullable and column.kind != "text",
        choices=column.categories,
        problem="a value is needed here" if problem and not value else problem,
        remark="" if problem else _remark(column, value),
    )


def _without_long_value(field: Field) -> Field:
    if len(field.value) <= LONGEST_ECHO:
        return field
    remark = f"{len(field.value):,} characters, too many to be shown again"
    return replace(field, value="", remark=field.remark or remark, left_out=True)


def control_of(column: Column) -> Control:
    """Return the control that fits a column."""
    return CONTROLS[column.kind](column)


def _drawn(control: Control, value: str, problem: str) -> Control:
    """Return a control that can show a value, even one that it would not take."""
    if control.kind in ("select", "textarea"):
        return control
    return Control("text") if problem or (control.switch and value not in control.switch) else control


def _number_control(column: Column) -> Control:
    whole = column.step == 1
    if whole and (column.minimum, column.maximum) == (0, 1) and not column.nullable:
        return Control("checkbox", switch=("0", "1"))
    return Control("number", "1" if whole else "any")


def _category_control(column: Column) -> Control:
    pair = sorted(column.categories)
    if not column.nullable and tuple(value.lower() for value in pair) in SWITCHES:
        return Control("checkbox", switch=tuple(pair))
    return Control("select" if 0 < len(column.categories) <= CHOICES_AS_LIST else "text")


def _date_control(column: Column) -> Control:
    example = str(column.example or "")
    if DAY.fullmatch(example):
        return Control("date")
    moment = MOMENT.fullmatch(example)
    return Control("datetime-local", "1" if moment[1] else "") if moment else Control("text")


CONTROLS: dict[Kind, Callable[[Column], Control]] = {
    "numeric": _number_control,
    "categorical": _category_control,
    "text": lambda column: Control("textarea"),
    "date": _date_control,
}


def _hint(column: Column, measured_in: str) -> str:
    """Say what the column held in training, in which unit, and whether it may stay empty."""
    control, parts = control_of(column), []
    if column.minimum is not None and column.maximum is not None and not control.switch:
        parts.append(f"{_short(column.minimum)} to {_short(column.maximum)} {measured_in}".rstrip())
    if control.kind == "text" and column.example:
        parts.append(f"as in {spelled(column.example)}")
    if control.kind == "textarea":
        parts.append("any length")
    if column.nullable:
        parts.append("may be empty")
    return ", ".join(parts)


def _remark(column: Column, value: str) -> str:
    """Say if a number lies outside what training has seen: it is answered, but with less to go by."""
    number = _parse_number(value, column)
    if column.minimum is None or column.maximum is None or not isinstance(number, float):
        return ""
    return "" if column.minimum <= number <= column.maximum else "outside the range seen in training"


def unit(name: str) -> str:
    """Return the unit that a column's name ends in, as in `length (cm)` or `weight_kg`, else nothing."""
    bracketed = re.search(r"[(\[]([^()\[\]]{1,12})[)\]]$", name)
    return bracketed[1] if bracketed else UNITS.get(re.split(r"[_\s]", name.lower())[-1], "")


def _short(number: float) -> str:
    """Write a bound with at most four digits after the point that matter."""
    return spelled(round(number, 4) if abs(number) >= 1 else float(f"{number:.4g}"))


def spelled(value: float | str | None) -> str:
    """Write a number without a needless `.0`, and nothing for None."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return "" if value is None else str(value)


def input_name(column: str) -> str:
    """Return the name of a column's input: its own, or a prefixed one where the form has a field of that name."""
    reserved = column in (*FORM_FIELDS, *NOT_SUBMITTED) or column.startswith(PREFIX)
    return f"{PREFIX}{column}" if reserved else column


def form_fields_of(form: MultiDict[str, str], schema: Schema) -> frozenset[str]:
    """Return the names under which a form sends its own fields; a program may send a column by such a name."""
    return frozenset(name for name in FORM_FIELDS if name not in schema.kinds or input_name(name) in form)


def submitted(form: MultiDict[str, str], schema: Schema) -> dict[str, str]:
    """Return what was typed, by column; the one text column of a model may also be sent as `text`."""
    columns = {lines(name): name for name in schema.kinds} | {lines(input_name(name)): name for name in schema.kinds}
    form_fields = form_fields_of(form, schema)
    named = ((lines(name or ""), values[-1]) for name, values in form.lists())  # a multipart part may lack a name
    typed = {columns.get(name, name): value for name, value in named if name not in form_fields}
    texts = [column.name for column in schema.columns if column.kind == "text"]
    if len(texts) == 1 and LEGACY_TEXT not in schema.kinds and LEGACY_TEXT in typed and texts[0] not in typed:
        typed[texts[0]] = typed.pop(LEGACY_TEXT)
    return typed


def parse(form: MultiDict[str, str], schema: Schema) -> dict[str, Any]:
    """Return the row that a submitted form means, unchecked. Raises RowsRefused: a field was sent twice."""
    columns = {column.name: column for column in schema.columns}
    switches = {lines(input_name(name)): list(control_of(column).switch) for name, column in columns.items()}
    sent = [(name or "", values) for name, values in form.lists()]
    twice = [name for name, values in sent if len(values) > 1 and values != switches.get(lines(name))]
    if twice:
        raise RowsRefused([FieldError(0, name, "sent more than once") for name in twice])
    return {
        name: cell(value, columns[name]) if name in columns else value
        for name, value in submitted(form, schema).items()
    }


def cell(text: str, column: Column) -> Any:
    """Return the value that a text means in a column, as JSON would carry it."""
    return PARSERS[column.kind](text, column)


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


PARSERS: dict[Kind, Callable[[str, Column], Any]] = {
    "numeric": _parse_number,
    "categorical": _parse_category,
    "text": lambda text, column: lines(text) or (None if column.nullable else ""),
    "date": lambda text, column: text.strip() or None,
}
