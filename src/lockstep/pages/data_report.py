"""The data report as one HTML file that needs nothing else and carries no clock: the same facts, the same bytes."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from lockstep.drift.results import Distribution
from lockstep.html import charts, formatting, templates
from lockstep.pages.charts import overlaid, spelled

MOST_DRAWN = 150
"""So many columns are drawn, those that tell most about the target; the others stand in the table alone."""

COUNTED = {
    "rows_read": "rows read",
    "rows_without_target": "rows without target",
    "rows_duplicate": "duplicate rows",
    "rows_quarantined": "rows quarantined",
    "rows_on_both_sides": "test rows that repeat a train row",
}


def html(facts: Mapping[str, Any]) -> str:
    """Return the page for the content of reports/data.json."""
    columns = sorted(facts["columns"], key=lambda one: -one["strength"])
    warned: dict[str, list[dict[str, str]]] = {}
    for warning in facts["warnings"]:
        warned.setdefault(warning["column"], []).append(warning)
    content = {
        "facts": facts,
        "columns": columns,
        "drawn": columns[:MOST_DRAWN],
        "warned": warned,
        "counts": counts(facts["dropped"]),
        "odd_cells": facts.get("odd_cells", {}),
        "left_out": left_out(facts["dropped"]),
        "quarantined": sorted(facts["dropped"].get("quarantined", {}).items(), key=lambda pair: (-pair[1], pair[0])),
        "style": templates.style("report.css", "monitoring.css", "data_report.css"),
    }
    return _environment().get_template("data_report.html").render(content)


def counts(dropped: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return how many rows were read and taken away, each with its words."""
    found = {name: value for name, value in dropped.items() if isinstance(value, int) and not isinstance(value, bool)}
    order = [*COUNTED, *sorted(found.keys() - COUNTED.keys())]
    return [(COUNTED.get(name, name.replace("_", " ")), found[name]) for name in order if name in found]


def left_out(dropped: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return each column that is no feature, with the reason."""
    named = [(name, f"its role is {role}") for name, role in dropped.get("columns_left_out", {}).items()]
    return named + [(name, "it holds no value") for name in dropped.get("columns_without_values", [])]


def histogram(distribution: Mapping[str, Any], name: str) -> Markup:
    """Draw shares over bins."""
    return overlaid(None, Distribution(distribution["shares"], edges=distribution["edges"]), name)


def ends(one: Mapping[str, Any]) -> str:
    """Write what a column holds: the range of numbers, dates and lengths, or the number of categories."""
    if one["kind"] == "categorical":
        return f"{one['distinct']} categories"
    if "least" not in one:
        return "no value"
    if one["kind"] == "date":
        return f"{one['least']} to {one['greatest']}"
    unit = " characters" if one["kind"] == "text" else ""
    return f"{formatting.number(one['least'])} to {formatting.number(one['greatest'])}{unit}"


def related(one: Mapping[str, Any]) -> str:
    """Write how a column bears on the target, with the name of the measure."""
    if one["relation"] is None:
        return formatting.DASH
    of = {"date": " of the moment", "text": " of the length"}.get(one["kind"], "")
    return f"{one['relation']['measure']}{of} {formatting.metric(one['relation']['value'])}"


@cache
def _environment() -> Environment:
    return templates.environment(
        {"spelled": spelled}, charts=charts, histogram=histogram, ends=ends, related=related, bars=bars
    )


def bars(distribution: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return the labels of a distribution with their shares."""
    return list(zip(distribution["labels"], distribution["shares"], strict=True))
