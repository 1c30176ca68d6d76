"""Data report as one self-contained HTML file, drawn from `reports/data.json`; the same record, the same bytes."""

from functools import cache
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from lockstep import files, paths
from lockstep.data.record import Dropped
from lockstep.data_report.record import ColumnFacts, DataReport, DataWarning
from lockstep.drift.results import Distribution
from lockstep.html import formatting, templates
from lockstep.pages.charts import overlaid, spelled

# So many columns are drawn, those of the strongest relation to the target; the others stand in the table alone.
MAX_DRAWN = 150
COUNTS = {
    "rows_read": "rows read",
    "rows_without_target": "rows without target",
    "rows_duplicate": "duplicate rows",
    "rows_of_rare_classes": "rows of rare classes",
    "rows_quarantined": "rows quarantined",
    "rows_on_both_sides": "test rows that repeat a train row",
}
ALWAYS_SHOWN = 3  # The first of them are shown even where they are 0.


def draw(record: Path = paths.DATA_REPORT, to: Path = paths.DATA_PAGE) -> Path:
    """Draw `reports/data.html` from the record that data_preprocessing wrote, and return its path.

    `lockstep report` and `make repro` call it; no stage does.

    Raises DataError: the record is missing or damaged.
    """
    files.write_bytes(html(DataReport.read(record)).encode(), to)
    return to


def html(report: DataReport) -> str:
    """Return the page of a data report."""
    columns = sorted(report.columns, key=lambda column: -column.strength)
    notes: dict[str, list[DataWarning]] = {}
    for warning in report.warnings:
        notes.setdefault(warning.column, []).append(warning)
    content = {
        "report": report,
        "columns": columns,
        "drawn": columns[:MAX_DRAWN],
        "notes": notes,
        "counts": counts(report.dropped),
        "left_out": left_out(report.dropped),
        "quarantined": sorted(report.dropped.quarantined.items(), key=lambda pair: (-pair[1], pair[0])),
        "odd_cells": report.odd_cells,
        "style": templates.style("report.css", "monitoring.css", "data_report.css"),
    }
    return _environment().get_template("data_report.html").render(content)


def counts(dropped: Dropped) -> list[tuple[str, int]]:
    """Return how many rows were read and how many dropped, each with its label."""
    rows = [(label, getattr(dropped, name)) for name, label in COUNTS.items()]
    return rows[:ALWAYS_SHOWN] + [(label, count) for label, count in rows[ALWAYS_SHOWN:] if count]


def left_out(dropped: Dropped) -> list[tuple[str, str]]:
    """Return each column that is no feature, with the reason."""
    by_role = [(name, f"its role is {role}") for name, role in dropped.columns_left_out.items()]
    return by_role + [(name, "it holds no value") for name in dropped.columns_without_values]


def histogram(distribution: Distribution, name: str) -> Markup:
    """Draw shares over bins."""
    return overlaid(None, distribution, name)


def ends(column: ColumnFacts) -> str:
    """Write what a column holds: the range of numbers, dates and lengths, or the number of categories."""
    if column.kind == "categorical":
        return f"{column.distinct} categories"
    if column.least is None or column.greatest is None:
        return "no value"
    if isinstance(column.least, str) or isinstance(column.greatest, str):
        return f"{column.least} to {column.greatest}"
    unit = " characters" if column.kind == "text" else ""
    return f"{formatting.number(column.least)} to {formatting.number(column.greatest)}{unit}"


def related(column: ColumnFacts) -> str:
    """Write the association of a column with the target, with the name of the measure."""
    if column.relation is None:
        return formatting.DASH
    part = {"date": " of the moment", "text": " of the length"}.get(column.kind, "")
    return f"{column.relation.measure}{part} {formatting.metric(column.relation.value)}"


@cache
def _environment() -> Environment:
    return templates.environment({"spelled": spelled}, histogram=histogram, ends=ends, related=related, bars=bars)


def bars(distribution: Distribution) -> list[tuple[str, float]]:
    """Return the labels of a distribution with their shares."""
    return list(zip(distribution.labels or [], distribution.shares, strict=True))
