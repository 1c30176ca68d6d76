"""Charts of traffic, distributions, live quality, windows and challengers, as inline SVG."""

import math
from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from lockstep.drift.results import Challenge, Distribution, DriftWindow, Interval, QualityWindow, Traffic
from lockstep.html.charts import HEIGHT, bar, colour, hover, short, svg
from lockstep.html.formatting import clock, count, metric, moment, number, percent

UNEVEN = 40.0  # Bins of which one is so many times as wide as another are drawn equally wide.
FEWEST = 30  # Windows are drawn no wider than if there were so many.
HOVERED = 200  # Up to so many buckets name their figures when pointed at.


def traffic(of: Traffic) -> Markup:
    """Draw stacked bars, one for each bucket; gaps in time stay gaps."""
    if not of.starts:
        return Markup()
    first, total = of.starts[0], totals(of)
    slots = [round((start - first) / of.bucket_s) for start in of.starts]
    most = max(total, default=0) or 1
    below, marks = [0.0] * len(slots), []
    for version, counts in of.by_version.items():
        bars = []
        for slot, (x, calls) in enumerate(zip(slots, counts, strict=True)):
            height = calls * HEIGHT / most
            below[slot] += height
            bars.append(bar(x + 0.08, HEIGHT - below[slot], 0.84, height) if calls else "")
        marks.append(f'<path class="{colour(version)}" d="{"".join(bars)}"/>')
    if len(slots) <= HOVERED:
        marks += [
            hover(x, 1, f"{clock(start, of.bucket_s)}: {count(calls)}")
            for x, start, calls in zip(slots, of.starts, total, strict=True)
        ]
    label = f"{count(sum(total))} predictions since {moment(first)}, at most {count(most)} in one bar"
    return svg("".join(marks), slots[-1] + 1, label)


def totals(of: Traffic) -> list[int]:
    """Return the count of each bucket over all versions."""
    return [sum(counts[index] for counts in of.by_version.values()) for index in range(len(of.starts))]


def overlaid(baseline: Distribution | None, window: Distribution | None, name: str) -> Markup:
    """Draw the window as bars, and the baseline as an outline over them."""
    edges = (window or baseline or Distribution([])).edges
    if not edges or len(edges) < 2:
        return Markup()
    xs = _places(edges)
    bars, outline = _heights(window, xs), _heights(baseline, xs)
    most = max([*bars, *outline], default=0.0) or 1.0
    marks = [f'<path class="now" d="{_bars(bars, xs, most)}"/>', _outline(outline, xs, most)]
    for (low, high), left, right, index in zip(pairwise(edges), xs, xs[1:], range(len(edges)), strict=False):
        marks.append(hover(left, right - left, f"{number(low)} to {number(high)}: {_both(baseline, window, index)}"))
    label = f"{name} from {number(edges[0])} to {number(edges[-1])}: the window as bars, the baseline as an outline"
    return svg("".join(marks), xs[-1], label)


def quality(windows: Sequence[QualityWindow], evaluation: Interval | None) -> tuple[Markup, float, float]:
    """Draw each window's metric with its interval over the band of the evaluation, and return the range drawn."""
    measured = [(window, window.metric) for window in reversed(windows) if window.metric]
    if not measured:
        return Markup(), 0.0, 0.0
    figures = [figure for _, figure in measured] + ([evaluation] if evaluation else [])
    low, high = _range(figures)
    width, marks = float(len(measured)), []

    def y(value: float) -> str:
        return short(HEIGHT * (high - value) / (high - low))

    if evaluation:
        height = HEIGHT * (evaluation.high - evaluation.low) / (high - low)
        marks.append(f'<path class="band" d="{bar(0, float(y(evaluation.high)), width, height)}"/>')
        marks.append(f'<path class="then" d="M0 {y(evaluation.value)}H{short(width)}"/>')
    for index, (window, figure) in enumerate(measured):
        middle = f"{index + 0.5}"
        marks.append(f'<path class="whisker {colour(window.version)}" d="M{middle} {y(figure.low)}V{y(figure.high)}"/>')
        marks.append(f'<path class="point {colour(window.version)}" d="M{middle} {y(figure.value)}h0"/>')
        marks.append(hover(index, 1, f"version {window.version}, {window.labels} labels: {spelled(figure)}"))
    label = f"{len(measured)} windows, the last at {spelled(measured[-1][1])}"
    return svg("".join(marks), width, label), low, high


def windows(of: Sequence[DriftWindow]) -> Markup:
    """Draw a row of squares, one for each window, the newest at the right."""
    kinds = {"quiet": "quiet", "alarm": "alarm"}
    width = max(FEWEST, len(of))
    marks = [
        f'<path class="{kinds.get(window.verdict, "unknown")}" d="{bar(x + 0.1, 0, 0.8, HEIGHT)}"/>'
        + hover(x, 1, f"version {window.version}, until {moment(window.end)}: {window.verdict}")
        for x, window in enumerate(reversed(of), width - len(of))
    ]
    alarms = sum(window.verdict == "alarm" for window in of)
    unknown = sum(window.verdict == "not enough data" for window in of)
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
    low, high = min(figure.low for figure in figures), max(figure.high for figure in figures)
    room = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def _places(edges: Sequence[float]) -> list[float]:
    """Return where the edges stand on the drawing, from 0 to 100: to scale if that leaves every bin to be seen."""
    widths = [high - low for low, high in pairwise(edges)]
    to_scale = all(map(math.isfinite, edges)) and 0 < max(widths) <= UNEVEN * min(widths)
    if to_scale:
        return [100 * (edge - edges[0]) / (edges[-1] - edges[0]) for edge in edges]
    return [100 * index / len(widths) for index in range(len(edges))]


def _heights(of: Distribution | None, xs: Sequence[float]) -> list[float]:
    """Return the density in each bin, so that the area of a bar is its share."""
    if of is None:
        return []
    return [mass / (right - left) for mass, (left, right) in zip(of.shares, pairwise(xs), strict=True)]


def _bars(heights: Sequence[float], xs: Sequence[float], most: float) -> str:
    drawn = zip(heights, pairwise(xs), strict=False)
    return "".join(
        bar(left, HEIGHT * (1 - height / most), right - left, HEIGHT * height / most) for height, (left, right) in drawn
    )


def _outline(heights: Sequence[float], xs: Sequence[float], most: float) -> str:
    if not heights:
        return ""
    steps = [
        f"V{short(HEIGHT * (1 - height / most))}H{short(right)}" for height, right in zip(heights, xs[1:], strict=True)
    ]
    return f'<path class="then" d="M0 {HEIGHT:g}{"".join(steps)}V{HEIGHT:g}"/>'


def _both(baseline: Distribution | None, window: Distribution | None, index: int) -> str:
    sides = [("window", window), ("baseline", baseline)]
    return ", ".join(f"{name} {percent(of.shares[index])}" for name, of in sides if of)
