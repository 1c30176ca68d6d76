"""What the workers write down: one line of JSON for each answered request, and for each label that comes back."""

from typing import Literal

import msgspec

Scalar = str | int | float | bool | None
Variant = Literal["production", "challenger", "shadow", "pinned"]


class Answer(msgspec.Struct, tag="answer"):
    """Rows of one request and what they were answered: n ids, rows in the schema's order, values, and shares."""

    at_us: int
    model: str
    version: str
    variant: Variant
    key: str
    latency_us: int
    ids: list[str]
    rows: list[list[Scalar]] | None
    values: list[Scalar]
    shares: list[list[float]] | None


class Label(msgspec.Struct, tag="label"):
    """The truth about one prediction; `event` makes the record itself unique, so that it is stored once."""

    at_us: int
    event: str
    prediction: str
    label: Scalar
    source: str
    value: float | None = None
    author: str | None = None


class LabelState(msgspec.Struct):
    """A logged prediction: who answered it, and the label that counts now, if there is one."""

    model: str
    version: str
    labelled: bool = False
    label: Scalar = None
    value: float | None = None


class Lost(msgspec.Struct, tag="lost"):
    """So many predictions were answered and could not be written down, for want of room."""

    at_us: int
    event: str
    count: int


Record = Answer | Label | Lost
