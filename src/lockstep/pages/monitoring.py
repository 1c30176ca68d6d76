"""The monitoring page of a snapshot, as HTML without a script, for the app's dashboard or as one file."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from lockstep.drift import results
from lockstep.html import formatting, templates
from lockstep.pages import charts

MOST_WINDOWS = 40
MOST_CATEGORIES = 8
MOST_CLOSED = 20
MOST_NEW = 5
MOST_MOVES = 20
HOUR_S = 3600


def html(snapshot: results.Snapshot) -> str:
    """Return the report on all models as one file that needs nothing else."""
    sections = [(name, fragment(snapshot, name, index=index)) for index, name in enumerate(sorted(snapshot.models))]
    return (
        _environment()
        .get_template("monitoring.html")
        .render(snapshot=snapshot, sections=sections, style=templates.style("report.css", "monitoring.css"))
    )


def fragment(
    snapshot: results.Snapshot, name: str, span: int | None = None, index: int = 0, links: bool = False
) -> Markup:
    """Return the sections on one model; `span` chooses the traffic's bucket in seconds, with links to the others.

    `index` keeps the names of the parts of several fragments on one page apart.
    """
    model = snapshot.models[name]
    content: dict[str, Any] = {
        "snapshot": snapshot,
        "model": model,
        "prefix": f"m{index}-" if index else "",
        "open": [entry for entry in _alerts(snapshot, name) if entry.closed is None],
        "closed": [entry for entry in _alerts(snapshot, name) if entry.closed is not None][:MOST_CLOSED],
        "traffic": _traffic(model.traffic, span),
        "links": links,
        "quality": _quality(model.quality),
        "latest": latest(model),
        "strip": charts.windows(model.drift[:MOST_WINDOWS]),
        "moves": model.history[:MOST_MOVES],
        "slowest": max((entry.p99 for entry in model.latency.values()), default=None),
        "hour": within(model.traffic, snapshot.at - HOUR_S),
    }
    return Markup(_environment().get_template("fragment.html").render(content))  # noqa: S704 - escaped by Jinja


def within(traffic: Sequence[results.Traffic], since_s: float) -> int:
    """Return how many predictions the finest traffic counts in the buckets that began after a moment."""
    finest = min(traffic, key=lambda series: series.bucket_s, default=None)
    if finest is None:
        return 0
    totals = charts.totals(finest)
    return sum(count for start, count in zip(finest.starts, totals, strict=True) if start > since_s)


def latest(model: results.ModelState) -> list[results.DriftWindow]:
    """Return the newest window of Production and of the challenger, else of the version that was seen last."""
    roles = [role.version for role in (model.production, model.challenger) if role]
    newest: dict[str, results.DriftWindow] = {}
    for window in model.drift:
        newest.setdefault(window.version, window)
    windows = [newest[version] for version in roles if version in newest]
    return windows or list(newest.values())[:1]


def _alerts(snapshot: results.Snapshot, name: str) -> list[results.Alert]:
    """Return the alerts on a model, and those on what all models share, the newest first."""
    alerts = [alert for alert in snapshot.alerts if alert.model in (name, "")]
    return sorted(alerts, key=lambda alert: (alert.closed or math.inf, alert.opened), reverse=True)


def _traffic(traffic: Sequence[results.Traffic], span: int | None) -> results.Traffic | None:
    return next((series for series in traffic if series.bucket_s == span), traffic[0] if traffic else None)


def _quality(quality: results.Quality | None) -> dict[str, Any] | None:
    if quality is None:
        return None
    drawn, low, high = charts.quality(quality.windows[:MOST_WINDOWS], quality.evaluation)
    newest = next((window for window in quality.windows if window.metric), None)
    content = {"of": quality, "chart": drawn, "low": low, "high": high, "newest": newest}
    return content | {"windows": quality.windows[:MOST_WINDOWS]}


def ordered(features: Sequence[results.FeatureDrift]) -> tuple[list[results.FeatureDrift], list[results.FeatureDrift]]:
    """Return the features that alarm and the others, the largest effect first."""
    by_effect = sorted(features, key=lambda feature: -(feature.effect or 0.0))
    return [feature for feature in by_effect if feature.alarm], [feature for feature in by_effect if not feature.alarm]


def remarks(feature: results.FeatureDrift) -> list[str]:
    """Return remarks on missing values, range and new categories of a feature."""
    texts = []
    if feature.missing != feature.baseline_missing:
        texts.append(
            f"missing {formatting.percent(feature.missing)}, {formatting.percent(feature.baseline_missing)} in training"
        )
    if feature.out_of_range:
        texts.append(f"{formatting.percent(feature.out_of_range)} outside the range of training")
    if feature.new_categories:
        more = f" and {len(feature.new_categories) - MOST_NEW} more" if len(feature.new_categories) > MOST_NEW else ""
        texts.append(f"not seen in training: {', '.join(feature.new_categories[:MOST_NEW])}{more}")
    return texts


def paired(
    window: results.Distribution | None, baseline: results.Distribution | None
) -> list[tuple[str, float | None, float | None]]:
    """Return the categories with their shares in window and baseline, the largest first, few enough to read."""
    now = dict(zip(window.labels or [], window.shares, strict=False)) if window else {}
    then = dict(zip(baseline.labels or [], baseline.shares, strict=False)) if baseline else {}
    names = sorted(now.keys() | then.keys(), key=lambda name: (-max(now.get(name, 0), then.get(name, 0)), name))
    rows = [(name, now.get(name, 0.0 if now else None), then.get(name, 0.0 if then else None)) for name in names]
    rest = rows[MOST_CATEGORIES:]
    if len(rest) <= 1:
        return rows
    folded = (f"{len(rest)} more", _summed(value for _, value, _ in rest), _summed(value for _, _, value in rest))
    return [*rows[:MOST_CATEGORIES], folded]


def _summed(shares: Any) -> float | None:
    values = [share for share in shares if share is not None]
    return sum(values) if values else None


def tables(of: results.Traffic, most: int = 24) -> list[tuple[float, dict[str, int]]]:
    """Return the newest buckets with their counts by version, the newest first."""
    lines = [
        (start, {version: counts[index] for version, counts in of.by_version.items()})
        for index, start in enumerate(of.starts)
    ]
    return lines[: -most - 1 : -1]


def heads(of: results.Traffic) -> list[str]:
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
