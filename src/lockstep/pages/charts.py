"""Charts of traffic, distributions, live quality, windows and challengers, as inline SVG."""

import math
from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from lockstep.drift.results import Challenge, Distribution, DriftWindow, Interval, QualityWindow, Traffic
from lockstep.html.charts import HEIGHT, bar, colour, hover, short, svg
from lockstep.html.formatting import clock, count, metric, moment, number, percent

UNEVEN = 40.0
"""Bins of which one is so many times as wide as another are drawn equally wide."""

FEWEST = 30
"""Windows are drawn no wider than if there were so many."""

HOVERED = 200
"""Up to so many buckets name their figures when pointed at."""


def traffic(of: Traffic) -> Markup:
    """Draw stacked bars, one for each bucket; gaps in time stay gaps."""
    if not of.starts:
        return Markup()
    first, total = of.starts[0], totals(of)
    places = [round((start - first) / of.bucket_s) for start in of.starts]
    most = max(total, default=0) or 1
    below, marks = [0.0] * len(places), []
    for version, counts in of.by_version.items():
        bars = []
        for slot, (place, own) in enumerate(zip(places, counts, strict=True)):
            tall = own * HEIGHT / most
            below[slot] += tall
            bars.append(bar(place + 0.08, HEIGHT - below[slot], 0.84, tall) if own else "")
        marks.append(f'<path class="{colour(version)}" d="{"".join(bars)}"/>')
    if len(places) <= HOVERED:
        marks += [
            hover(place, 1, f"{clock(start, of.bucket_s)}: {count(own)}")
            for place, start, own in zip(places, of.starts, total, strict=True)
        ]
    label = f"{count(sum(total))} predictions since {moment(first)}, at most {count(most)} in one bar"
    return svg("".join(marks), places[-1] + 1, label)


def totals(of: Traffic) -> list[int]:
    """Return the count of each bucket over all versions."""
    return [sum(counts[place] for counts in of.by_version.values()) for place in range(len(of.starts))]


def overlaid(baseline: Distribution | None, window: Distribution | None, name: str) -> Markup:
    """Draw the window as bars, and the baseline as an outline over them."""
    edges = (window or baseline or Distribution([])).edges
    if not edges or len(edges) < 2:
        return Markup()
    places = _places(edges)
    bars, outline = _heights(window, places), _heights(baseline, places)
    most = max([*bars, *outline], default=0.0) or 1.0
    marks = [f'<path class="now" d="{_bars(bars, places, most)}"/>', _outline(outline, places, most)]
    for (low, high), left, right, place in zip(pairwise(edges), places, places[1:], range(len(edges)), strict=False):
        marks.append(hover(left, right - left, f"{number(low)} to {number(high)}: {_both(baseline, window, place)}"))
    label = f"{name} from {number(edges[0])} to {number(edges[-1])}: the window as bars, the baseline as an outline"
    return svg("".join(marks), places[-1], label)


def quality(windows: Sequence[QualityWindow], evaluation: Interval | None) -> tuple[Markup, float, float]:
    """Draw each window's metric with its interval over the band of the evaluation, and return the range drawn."""
    known = [(one, one.metric) for one in reversed(windows) if one.metric]
    if not known:
        return Markup(), 0.0, 0.0
    figures = [figure for _, figure in known] + ([evaluation] if evaluation else [])
    low, high = _range(figures)
    width, marks = float(len(known)), []

    def y(value: float) -> str:
        return short(HEIGHT * (high - value) / (high - low))

    if evaluation:
        tall = HEIGHT * (evaluation.high - evaluation.low) / (high - low)
        marks.append(f'<path class="band" d="{bar(0, float(y(evaluation.high)), width, tall)}"/>')
        marks.append(f'<path class="then" d="M0 {y(evaluation.value)}H{short(width)}"/>')
    for place, (one, figure) in enumerate(known):
        middle = f"{place + 0.5}"
        marks.append(f'<path class="whisker {colour(one.version)}" d="M{middle} {y(figure.low)}V{y(figure.high)}"/>')
        marks.append(f'<path class="point {colour(one.version)}" d="M{middle} {y(figure.value)}h0"/>')
        marks.append(hover(place, 1, f"version {one.version}, {one.labels} labels: {spelled(figure)}"))
    label = f"{len(known)} windows, the last at {spelled(known[-1][1])}"
    return svg("".join(marks), width, label), low, high


def windows(of: Sequence[DriftWindow]) -> Markup:
    """Draw a row of squares, one for each window, the newest at the right."""
    kinds = {"quiet": "quiet", "alarm": "alarm"}
    width = max(FEWEST, len(of))
    marks = [
        f'<path class="{kinds.get(one.verdict, "unknown")}" d="{bar(place + 0.1, 0, 0.8, HEIGHT)}"/>'
        + hover(place, 1, f"version {one.version}, until {moment(one.end)}: {one.verdict}")
        for place, one in enumerate(reversed(of), width - len(of))
    ]
    alarms = sum(one.verdict == "alarm" for one in of)
    unknown = sum(one.verdict == "not enough data" for one in of)
    label = f"{alarms} of the last {len(of)} windows alarm, {unknown} had not enough data"
    return svg("".join(marks), width, label, "strip")


def difference(of: Challenge) -> Markup:
    """Draw the interval of the difference between challenger and Production around 0."""
    if of.difference is None:
        return Markup()
    reach = 1.15 * max(abs(of.difference.low), abs(of.difference.high)) or 1.0

    def x(value: float) -> str:
        return short(100 * (value + reach) / (2 * reach))

    marks = '<path class="then" d="M50 0V100"/>'
    marks += f'<path class="whisker now" d="M{x(of.difference.low)} 50H{x(of.difference.high)}"/>'
    marks += f'<path class="point now" d="M{x(of.difference.value)} 50h0"/>'
    return svg(marks, 100, f"difference {spelled(of.difference)}; 0 is in the middle", "strip")


def spelled(figure: Interval) -> str:
    """Write a figure with its interval."""
    return f"{metric(figure.value)} (95 % {metric(figure.low)} to {metric(figure.high)})"


def _range(figures: Sequence[Interval]) -> tuple[float, float]:
    low, high = min(one.low for one in figures), max(one.high for one in figures)
    room = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def _places(edges: Sequence[float]) -> list[float]:
    """Return where the edges stand on the drawing, from 0 to 100: to scale if that leaves every bin to be seen."""
    widths = [high - low for low, high in pairwise(edges)]
    to_scale = all(map(math.isfinite, edges)) and 0 < max(widths) <= UNEVEN * min(widths)
    if to_scale:
        return [100 * (edge - edges[0]) / (edges[-1] - edges[0]) for edge in edges]
    return [100 * place / len(widths) for place in range(len(edges))]


def _heights(of: Distribution | None, places: Sequence[float]) -> list[float]:
    """Return the density in each bin, so that the area of a bar is its share."""
    if of is None:
        return []
    return [own / (right - left) for own, (left, right) in zip(of.shares, pairwise(places), strict=True)]


def _bars(heights: Sequence[float], places: Sequence[float], most: float) -> str:
    drawn = zip(heights, pairwise(places), strict=False)
    return "".join(
        bar(left, HEIGHT * (1 - own / most), right - left, HEIGHT * own / most) for own, (left, right) in drawn
    )


def _outline(heights: Sequence[float], places: Sequence[float], most: float) -> str:
    if not heights:
        return ""
    steps = [
        f"V{short(HEIGHT * (1 - own / most))}H{short(right)}" for own, right in zip(heights, places[1:], strict=True)
    ]
    return f'<path class="then" d="M0 {HEIGHT:g}{"".join(steps)}V{HEIGHT:g}"/>'


def _both(baseline: Distribution | None, window: Distribution | None, place: int) -> str:
    told = [("window", window), ("baseline", baseline)]
    return ", ".join(f"{name} {percent(of.shares[place])}" for name, of in told if of)
