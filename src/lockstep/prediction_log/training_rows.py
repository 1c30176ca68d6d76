"""Labelled predictions as training rows: the file that `data_ingestion` joins, and where its rows come from."""

import collections
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
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

SchemaOf = Callable[[str], Schema | None]
"""Return the schema of a version, None if it is gone."""


class TrainingRow(msgspec.Struct):
    """A prediction's row with the label that counts: the latest."""

    id: str
    at_us: int
    version: str
    row: list[Any]
    label: Any


class Export(msgspec.Struct):
    """How many rows were written, from which versions, and how many could not be used, and why."""

    rows: int = 0
    versions: dict[str, int] = {}
    left_out: dict[str, int] = {}


def export(store: Store, params: Params, schema: Schema, schema_of: SchemaOf, hashed: bool = False) -> Export:
    """Write the labelled rows of a model, oldest first, beside its source; where there are none, nothing changes.

    `schema` is that of Production: a row joins if the version that answered it took the same columns.
    """
    left_out: collections.Counter[str] = collections.Counter()
    versions: collections.Counter[str] = collections.Counter()
    rows, last, first = [], 0, 0
    for one in read(store, params.register_model.model_name):
        values, problem = usable(one, schema, schema_of(one.version), hashed)
        if problem:
            left_out[problem] += 1
            continue
        rows.append(values)
        versions[one.version] += 1
        first, last = first or one.at_us, one.at_us
    found = Export(len(rows), dict(sorted(versions.items())), dict(sorted(left_out.items())))
    if rows:
        _write(rows, schema, params, {"first": _moment(first), "last": _moment(last), **msgspec.to_builtins(found)})
    return found


def read(store: Store, model: str) -> Iterator[TrainingRow]:
    """Yield the labelled predictions of a model that hold their row, by time and id, each with its latest label."""
    wanted = (
        select(PREDICTIONS.c.id, PREDICTIONS.c.at_us, PREDICTIONS.c.version, PREDICTIONS.c.row, LABELS.c.label)
        .join(LABELS, LABELS.c.prediction_id == PREDICTIONS.c.id)
        .where(PREDICTIONS.c.model == model, PREDICTIONS.c.variant != "shadow", PREDICTIONS.c.row.is_not(None))
        .order_by(PREDICTIONS.c.at_us, PREDICTIONS.c.id, LABELS.c.at_us, LABELS.c.seq)
    )
    before: Any = None
    with store.reading() as link:
        for found in link.execution_options(yield_per=PIECE).execute(wanted):
            if before is not None and before.id != found.id:
                yield _labelled(before)
            before = found
    if before is not None:
        yield _labelled(before)


def usable(one: TrainingRow, wanted: Schema, own: Schema | None, hashed: bool) -> tuple[dict[str, Any], str]:
    """Return a row under its columns and the target, or why it cannot teach."""
    if own is None:
        return {}, "its version is gone"
    if own.kinds != wanted.kinds or (own.target, own.task) != (wanted.target, wanted.task):
        return {}, "its version took other columns"
    if hashed and any(kind in HASHED for kind in own.kinds.values()):
        return {}, "the log holds hashes"
    try:
        ((*row,),) = own.check([dict(zip(own.kinds, one.row, strict=True))])
    except (RowsRefused, ValueError):
        return {}, "the row does not fit its version"
    label = _truth(one.label, wanted)
    if label is None:
        return {}, "the label is none of this model"
    return {**dict(zip(own.kinds, row, strict=True)), wanted.target: label}, ""


def _truth(label: Any, schema: Schema) -> Label | float | None:
    """Return a label in the type of the target; None if it is none."""
    if schema.labels:
        known = {label_name(one): one for one in schema.labels}
        return None if label is None else known.get(label_name(label))
    return float(label) if isinstance(label, int | float) and not isinstance(label, bool) else None


def _write(rows: list[dict[str, Any]], schema: Schema, params: Params, page: dict[str, Any]) -> None:
    model, source = params.register_model.model_name, params.data_ingestion.named
    path = paths.FEEDBACK / f"{model}.parquet"
    kinds = {name: "float64" if kind == "numeric" else object for name, kind in schema.kinds.items()}
    frame = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=kinds[name]) for name in schema.kinds})
    frame[schema.target] = [row[schema.target] for row in rows]
    parquet.write(frame, path)
    content = {"model": model, "source": source, "target": schema.target, "sha256": files.sha256(path), **page}
    files.write_json(content, path.with_suffix(".json"))


def _labelled(found: Any) -> TrainingRow:
    return TrainingRow(found.id, found.at_us, found.version, json.loads(found.row), json.loads(found.label))


def _moment(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="milliseconds")
