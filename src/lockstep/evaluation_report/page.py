"""The evaluation report as one HTML file that needs nothing else, with a plain sentence under each picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from lockstep.evaluation_report import figures, sentences
from lockstep.monitoring.report import PLAIN, style_sheet, templates

FOLDER = Path(__file__).with_name("pages")
MOST_TRIALS = 15


@dataclass(frozen=True)
class Content:
    """What the page shows: the facts of the evaluation, gate and search, and what was found when it was drawn."""

    name: str
    facts: Mapping[str, Any]
    gate: Mapping[str, Any]
    search: Mapping[str, Any]
    champion: Mapping[str, Any]
    timing: Mapping[str, Any]


def html(of: Content) -> str:
    """Return the page."""
    style = PLAIN.read_text(encoding="utf-8") + style_sheet() + (FOLDER / "evaluation.css").read_text(encoding="utf-8")
    content = {
        **vars(of),
        "headline": headline(of.facts),
        "trials": trials(of.search),
        "trials_in_all": len(of.search["trials"]),
        "style": Markup(style),  # noqa: S704 - our own files
    }
    return _environment().get_template("evaluation.html").render(content)


def headline(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the metrics, that first by which the model was chosen."""
    return sorted(facts["metrics"], key=lambda one: one["name"] != facts["metric"])


def trials(search: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the trials of the search, the chosen one first, then in the order of params.yaml, few enough to read."""
    found = [
        {
            "estimator": one["estimator"],
            "params": ", ".join(f"{name} {value}" for name, value in one["params"].items()) or "defaults",
            "mean": sum(one["scores"]) / len(one["scores"]) if one["scores"] else None,
            "low": min(one["scores"], default=None),
            "high": max(one["scores"], default=None),
            "chosen": place == search["best"],
        }
        for place, one in enumerate(search["trials"])
    ]
    return sorted(found, key=lambda one: not one["chosen"])[:MOST_TRIALS]


def shade(count: int, counts: Sequence[int]) -> int:
    """Return how dark a cell of the confusion matrix is, from 0 to 9, by its share of the row."""
    return round(9 * count / sum(counts)) if sum(counts) else 0


@cache
def _environment() -> Environment:
    return templates(FOLDER, figures=figures, say=sentences, shade=shade)
