"""The model card: what a version is, how good, and where not to trust it, as facts that travel with its bundle."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from lockstep import files, paths
from lockstep.data.record import DataRecord, Dropped
from lockstep.data.schema import Schema, label_name
from lockstep.metrics.evaluation_record import Evaluation, SliceLoss
from lockstep.runtime.release import version_of

FORMAT = 1
MOST_SLICES = 5
MOST_COLUMNS = 10
MADE_WITH = ("lockstep", "scikit-learn", "numpy", "pandas")
FEW_ROWS = 200  # With fewer test rows, no interval is narrow enough to tell models apart that differ by a few points.


@dataclass(frozen=True)
class CardFacts:
    """Records that a card is made from: reports/evaluation.json, search.json, data.json and data/raw/source.json."""

    evaluation: Evaluation
    search: Mapping[str, Any]
    data: DataRecord
    source: Mapping[str, Any]


def build(schema: Schema, facts: CardFacts) -> dict[str, Any]:
    """Return the card of a model, for `models/card.json`: nothing in it is a clock's, a machine's or the registry's."""
    record, best = facts.evaluation, facts.search["trials"][facts.search["best"]]
    return {
        "format": FORMAT,
        "target": schema.target,
        "task": schema.task,
        "labels": [label_name(label) for label in schema.labels],
        "estimator": {"name": best["estimator"], "params": best["params"], "trials": len(facts.search["trials"])},
        "metric": facts.search["metric"],
        "metrics": msgspec.to_builtins(record.metrics),
        "references": msgspec.to_builtins(record.references),
        "weakest": [_slice(part) for part in record.weakest.slices[:MOST_SLICES]],
        "importance": msgspec.to_builtins(record.importance.columns[:MOST_COLUMNS]) if record.importance else [],
        "rows": {"train": facts.data.train_rows, "test": facts.data.test_rows},
        "left_out": _left_out(facts.data.dropped),
        "source": {"name": shown_source(facts.source["source"]), "sha256": facts.source["sha256"]},
        "made_with": {name: version_of(name) for name in MADE_WITH},
    }


def _left_out(dropped: Dropped) -> dict[str, Any]:
    """Return what was left out by reason, without the reasons that took nothing."""
    return {name: rows for name, rows in msgspec.structs.asdict(dropped).items() if rows and name != "rows_read"}


def _slice(part: SliceLoss) -> dict[str, Any]:
    return {name: getattr(part, name) for name in ("column", "name", "rows", "loss", "rest", "surely_worse")}


def shown_source(named: str) -> str:
    """Return the last part of each source: a page that anyone may read need not tell where a machine keeps its data."""
    return ", ".join(source.split("?")[0].rstrip("/").rsplit("/", 1)[-1] for source in named.split(", "))


def limits(card: Mapping[str, Any], schema: Schema) -> list[str]:
    """Return the limitations of the model as sentences."""
    test = card["rows"]["test"]
    sentences = []
    if test < FEW_ROWS:
        sentences.append(f"All figures rest on {test} test rows: the intervals beside them are wide.")
    closed = [column.name for column in schema.columns if column.categories and column.unknown == "refuse"]
    if closed:
        sentences.append(f"A category that training never showed is refused: {', '.join(closed[:MOST_COLUMNS])}.")
    ranged = [column.name for column in schema.columns if column.minimum is not None]
    if ranged:
        sentences.append("Values beyond the ranges below are answered, but nothing is known of how well.")
    sentences += [
        f"It is surely worse where {weak['column']} is {weak['name']}, {weak['rows']} of the test rows."
        for weak in card["weakest"]
        if weak["surely_worse"] > 0
    ]
    sentences.append("It tells what went together in its data, not what causes what.")
    return sentences


def read(folder: Path) -> dict[str, Any] | None:
    """Return the card in a bundle; versions made before there were cards have none, or one of another format."""
    try:
        card = files.read_json(folder / paths.CARD.name)
    except (FileNotFoundError, ValueError):
        return None
    return card if isinstance(card, dict) and card.get("format") == FORMAT else None
