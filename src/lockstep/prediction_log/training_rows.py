"""Labelled predictions as training rows: the file that `data_ingestion` joins, and where its rows come from."""

import collections
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
from sqlalchemy import select

from lockstep import files, paths
from lockstep.config.params import Params
from lockstep.data import parquet
from lockstep.data.schema import Label, RowsRefused, Schema, label_name
from lockstep.prediction_log.database import Store
from lockstep.prediction_log.privacy import HASHED
from lockstep.prediction_log.tables import LABELS, PREDICTIONS

PIECE = 5000

SchemaOf = Callable[[str], Schema | None]  # Return the schema of a version, None if it is gone.


class TrainingRow(msgspec.Struct):
    """A prediction's row and answer, with the label that counts, the latest: who gave it, and when."""

    id: str
    at_us: int
    version: str
    row: list[Any]
    label: Any
    answer: Any = None
    author: str = ""
    labelled_us: int = 0


class Export(msgspec.Struct):
    """How many rows were written, from which versions, how many were left out and why, and how many of these are held.

    A row is held that would join but for a reason that a review gave.
    """

    rows: int = 0
    versions: dict[str, int] = {}
    left_out: dict[str, int] = {}
    held: int = 0


def export(
    rows: Sequence[TrainingRow],
    reasons: Sequence[str],
    params: Params,
    schema: Schema,
    schema_of: SchemaOf,
    hashed: bool = False,
) -> Export:
    """Write labelled rows of a model (n), oldest first, beside its source.

    Where no row is labelled, nothing changes; where none joins, a file of earlier ones is removed.

    `reasons` (n) says why a row does not join, and is empty if it does. `schema` is that of Production: a row joins if
    the version that answered it took the same columns.
    """
    left_out: collections.Counter[str] = collections.Counter()
    versions: collections.Counter[str] = collections.Counter()
    joining: list[dict[str, Any]] = []
    last = first = held = 0
    for labelled, reason in zip(rows, reasons, strict=True):
        values, problem = usable(labelled, schema, schema_of(labelled.version), hashed)
        if problem or reason:
            left_out[problem or reason] += 1
            held += not problem
            continue
        joining.append(values)
        versions[labelled.version] += 1
        first, last = first or labelled.at_us, labelled.at_us
    exported = Export(len(joining), dict(sorted(versions.items())), dict(sorted(left_out.items())), held)
    if joining:
        page = {"first": _moment(first), "last": _moment(last), **msgspec.to_builtins(exported)}
        _write(joining, schema, params, page)
    elif rows:  # such as those of before a rollback, which must not stay beside the source
        for suffix in (".json", ".parquet"):
            _path(params).with_suffix(suffix).unlink(missing_ok=True)
    return exported


def read(store: Store, model: str) -> Iterator[TrainingRow]:
    """Yield the labelled predictions of a model that hold their row, by time and id, each with its latest label."""
    columns = (PREDICTIONS.c.id, PREDICTIONS.c.at_us, PREDICTIONS.c.version, PREDICTIONS.c.row, PREDICTIONS.c.value)
    label = (LABELS.c.label, LABELS.c.author, LABELS.c.source, LABELS.c.at_us.label("labelled_us"))
    wanted = (
        select(*columns, *label)
        .join(LABELS, LABELS.c.prediction_id == PREDICTIONS.c.id)
        .where(PREDICTIONS.c.model == model, PREDICTIONS.c.variant != "shadow", PREDICTIONS.c.row.is_not(None))
        .order_by(PREDICTIONS.c.at_us, PREDICTIONS.c.id, LABELS.c.at_us, LABELS.c.seq)
    )
    before: Any = None
    with store.reading() as link:
        for record in link.execution_options(yield_per=PIECE).execute(wanted):
            if before is not None and before.id != record.id:
                yield _labelled(before)
            before = record
    if before is not None:
        yield _labelled(before)


def usable(
    labelled: TrainingRow, wanted: Schema, logged_schema: Schema | None, hashed: bool
) -> tuple[dict[str, Any], str]:
    """Return a row under its columns and the target, or why it cannot teach."""
    if logged_schema is None:
        return {}, "its version is gone"
    if logged_schema.kinds != wanted.kinds or (logged_schema.target, logged_schema.task) != (
        wanted.target,
        wanted.task,
    ):
        return {}, "its version took other columns"
    if hashed and any(kind in HASHED for kind in logged_schema.kinds.values()):
        return {}, "the log holds hashes"
    try:
        ((*row,),) = logged_schema.check([dict(zip(logged_schema.kinds, labelled.row, strict=True))])
    except (RowsRefused, ValueError):
        return {}, "the row does not fit its version"
    label = _truth(labelled.label, wanted)
    if label is None:
        return {}, "the label is none of this model"
    return {**dict(zip(logged_schema.kinds, row, strict=True)), wanted.target: label}, ""


def _truth(label: Any, schema: Schema) -> Label | float | None:
    """Return a label in the type of the target; None if it is none."""
    if schema.labels:
        labels = {label_name(label_value): label_value for label_value in schema.labels}
        return None if label is None else labels.get(label_name(label))
    return float(label) if isinstance(label, int | float) and not isinstance(label, bool) else None


def _write(rows: list[dict[str, Any]], schema: Schema, params: Params, page: dict[str, Any]) -> None:
    model, source = params.register_model.model_name, params.data_ingestion.named
    path = _path(params)
    kinds = {name: "float64" if kind == "numeric" else object for name, kind in schema.kinds.items()}
    frame = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=kinds[name]) for name in schema.kinds})
    frame[schema.target] = [row[schema.target] for row in rows]
    parquet.write(frame, path)
    content = {"model": model, "source": source, "target": schema.target, "sha256": files.sha256(path), **page}
    files.write_json(content, path.with_suffix(".json"))


def _path(params: Params) -> Path:
    return paths.FEEDBACK / f"{params.register_model.model_name}.parquet"


def _labelled(record: Any) -> TrainingRow:
    return TrainingRow(
        *(record.id, record.at_us, record.version, json.loads(record.row), json.loads(record.label)),
        answer=json.loads(record.value),
        author=record.author or record.source,
        labelled_us=record.labelled_us,
    )


def _moment(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="milliseconds")
