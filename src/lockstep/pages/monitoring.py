"""The monitoring page: what a snapshot says, as HTML without a script, for the app's dashboard or as one file."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from lockstep.drift.results import (
    Alert,
    Distribution,
    DriftWindow,
    FeatureDrift,
    ModelState,
    Quality,
    Snapshot,
    Traffic,
)
from lockstep.html import formatting, templates
from lockstep.pages import charts

MOST_WINDOWS = 40
MOST_CATEGORIES = 8
MOST_CLOSED = 20
MOST_NEW = 5
MOST_MOVES = 20
HOUR_S = 3600


def html(snapshot: Snapshot) -> str:
    """Return the report on all models as one file that needs nothing else."""
    sections = [(name, fragment(snapshot, name, place=place)) for place, name in enumerate(sorted(snapshot.models))]
    return (
        _environment()
        .get_template("monitoring.html")
        .render(snapshot=snapshot, sections=sections, style=templates.style("report.css", "monitoring.css"))
    )


def fragment(snapshot: Snapshot, name: str, span: int | None = None, place: int = 0, links: bool = False) -> Markup:
    """Return the sections on one model; `span` chooses the traffic's bucket in seconds, with links to the others.

    `place` keeps the names of the parts of several fragments on one page apart.
    """
    model = snapshot.models[name]
    content: dict[str, Any] = {
        "snapshot": snapshot,
        "model": model,
        "prefix": f"m{place}-" if place else "",
        "open": [one for one in _alerts(snapshot, name) if one.closed is None],
        "closed": [one for one in _alerts(snapshot, name) if one.closed is not None][:MOST_CLOSED],
        "traffic": _traffic(model.traffic, span),
        "links": links,
        "quality": _quality(model.quality),
        "latest": latest(model),
        "strip": charts.windows(model.drift[:MOST_WINDOWS]),
        "moves": model.history[:MOST_MOVES],
        "slowest": max((one.p99 for one in model.latency.values()), default=None),
        "hour": within(model.traffic, snapshot.at - HOUR_S),
    }
    return Markup(_environment().get_template("fragment.html").render(content))  # noqa: S704 - escaped by Jinja


def within(found: Sequence[Traffic], since_s: float) -> int:
    """Return how many predictions the finest traffic counts in the buckets that began after a moment."""
    finest = min(found, key=lambda one: one.bucket_s, default=None)
    if finest is None:
        return 0
    totals = charts.totals(finest)
    return sum(own for start, own in zip(finest.starts, totals, strict=True) if start > since_s)


def latest(model: ModelState) -> list[DriftWindow]:
    """Return the newest window of Production and of the challenger, else of the version that was seen last."""
    roles = [role.version for role in (model.production, model.challenger) if role]
    newest: dict[str, DriftWindow] = {}
    for window in model.drift:
        newest.setdefault(window.version, window)
    found = [newest[version] for version in roles if version in newest]
    return found or list(newest.values())[:1]


def _alerts(snapshot: Snapshot, name: str) -> list[Alert]:
    """Return the alerts on a model, and those on what all models share, the newest first."""
    own = [one for one in snapshot.alerts if one.model in (name, "")]
    return sorted(own, key=lambda one: (one.closed or math.inf, one.opened), reverse=True)


def _traffic(found: Sequence[Traffic], span: int | None) -> Traffic | None:
    return next((one for one in found if one.bucket_s == span), found[0] if found else None)


def _quality(found: Quality | None) -> dict[str, Any] | None:
    if found is None:
        return None
    drawn, low, high = charts.quality(found.windows[:MOST_WINDOWS], found.evaluation)
    newest = next((one for one in found.windows if one.metric), None)
    content = {"of": found, "chart": drawn, "low": low, "high": high, "newest": newest}
    return content | {"windows": found.windows[:MOST_WINDOWS]}


def ordered(features: Sequence[FeatureDrift]) -> tuple[list[FeatureDrift], list[FeatureDrift]]:
    """Return the features that alarm and the others, the largest effect first."""
    found = sorted(features, key=lambda one: -(one.effect or 0.0))
    return [one for one in found if one.alarm], [one for one in found if not one.alarm]


def remarks(one: FeatureDrift) -> list[str]:
    """Say what is odd about a feature beside its distribution."""
    found = []
    if one.missing != one.baseline_missing:
        found.append(
            f"missing {formatting.percent(one.missing)}, {formatting.percent(one.baseline_missing)} in training"
        )
    if one.out_of_range:
        found.append(f"{formatting.percent(one.out_of_range)} outside the range of training")
    if one.new_categories:
        more = f" and {len(one.new_categories) - MOST_NEW} more" if len(one.new_categories) > MOST_NEW else ""
        found.append(f"not seen in training: {', '.join(one.new_categories[:MOST_NEW])}{more}")
    return found


def paired(window: Distribution | None, baseline: Distribution | None) -> list[tuple[str, float | None, float | None]]:
    """Return the categories with their shares in window and baseline, the largest first, few enough to read."""
    now = dict(zip(window.labels or [], window.shares, strict=False)) if window else {}
    then = dict(zip(baseline.labels or [], baseline.shares, strict=False)) if baseline else {}
    names = sorted(now.keys() | then.keys(), key=lambda name: (-max(now.get(name, 0), then.get(name, 0)), name))
    shown = [(name, now.get(name, 0.0 if now else None), then.get(name, 0.0 if then else None)) for name in names]
    rest = shown[MOST_CATEGORIES:]
    if len(rest) <= 1:
        return shown
    folded = (f"{len(rest)} more", _summed(one for _, one, _ in rest), _summed(one for _, _, one in rest))
    return [*shown[:MOST_CATEGORIES], folded]


def _summed(shares: Any) -> float | None:
    known = [one for one in shares if one is not None]
    return sum(known) if known else None


def tables(of: Traffic, most: int = 24) -> list[tuple[float, dict[str, int]]]:
    """Return the newest buckets with their counts by version, the newest first."""
    lines = [
        (start, {version: counts[place] for version, counts in of.by_version.items()})
        for place, start in enumerate(of.starts)
    ]
    return lines[: -most - 1 : -1]


def heads(of: Traffic) -> list[str]:
    """Return the names of the columns of a table by version."""
    return [f"version {version}" for version in of.by_version]


@cache
def _environment() -> Environment:
    return templates.environment(
        {"spelled": charts.spelled},
        charts=charts,
        ordered=ordered,
        remarks=remarks,
        paired=paired,
        buckets=tables,
        heads=heads,
    )
