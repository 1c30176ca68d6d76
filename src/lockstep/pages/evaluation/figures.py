"""Figures of the evaluation report as inline SVG; their captions are HTML."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from lockstep.drift.results import Distribution
from lockstep.html import formatting
from lockstep.html.charts import COLOURS, HEIGHT, bar, hover, short, svg
from lockstep.metrics import evaluation_record
from lockstep.pages.charts import overlaid

Line = Sequence[Sequence[float]]
ROOM = 0.06


class Scale:
    """Where values between two others stand on a drawing of 100 x 100, y growing upwards."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        (self.left, right), (self.low, high) = x, y
        self.width, self.height = (right - self.left) or 1.0, (high - self.low) or 1.0

    def x(self, value: float) -> float:
        """Return the x coordinate of a value."""
        return 100 * (value - self.left) / self.width

    def y(self, value: float) -> float:
        """Return the y coordinate of a value, from the top."""
        return HEIGHT * (1 - (value - self.low) / self.height)

    def path(self, points: Line) -> str:
        """Return a line through points (x, y)."""
        return "M" + "L".join(f"{short(self.x(x))} {short(self.y(y))}" for x, y in points)


UNIT = Scale((0, 1), (0, 1))


def curves(lines: Sequence[evaluation_record.Curve], label: str, diagonal: bool = False) -> Markup:
    """Draw lines of shares against shares, each in its colour."""
    marks = ['<path class="then faint" d="M0 100L100 0"/>'] if diagonal else []
    marks += [f'<path class="line {colour(index)}" d="{UNIT.path(line.points)}"/>' for index, line in enumerate(lines)]
    return svg("".join(marks), 100, label, "square")


def colour(index: int) -> str:
    """Return the class that colours the line of a place."""
    return f"v{index % COLOURS}"


def calibration(bins: Sequence[evaluation_record.CalibrationBin], label: str) -> Markup:
    """Draw the reliability diagram: observed frequency by predicted probability, each bin with its interval."""
    marks = ['<path class="then faint" d="M0 100L100 0"/>']
    for point in bins:
        x, y = short(UNIT.x(point.said)), short(UNIT.y(point.came))
        ends = f"{short(UNIT.y(point.low))}V{short(UNIT.y(point.high))}"
        marks.append(f'<path class="whisker v0" d="M{x} {ends}"/><path class="point v0" d="M{x} {y}h0"/>')
    for point, (left, right) in zip(bins, pairwise(_between([100 * each.said for each in bins])), strict=True):
        text = (
            f"predicted {formatting.percent(point.said)}, observed {formatting.percent(point.came)}, {point.rows} rows"
        )
        marks.append(hover(left, right - left, text))
    return svg("".join(marks), 100, label, "square")


def _between(positions: Sequence[float]) -> list[float]:
    """Return the edges half way between places, with 0 and 100 as the outermost."""
    return [0.0, *((low + high) / 2 for low, high in pairwise(positions)), 100.0] if positions else []


def thresholds(points: Sequence[evaluation_record.ThresholdPoint], names: Sequence[str], label: str) -> Markup:
    """Draw several shares against the threshold."""
    lines = [[[point.threshold, getattr(point, name)] for point in points] for name in names]
    drawn = [f'<path class="line {colour(index)}" d="{UNIT.path(line)}"/>' for index, line in enumerate(lines)]
    for point, (left, right) in zip(points, pairwise(_between([100 * each.threshold for each in points])), strict=True):
        text = ", ".join(f"{name} {formatting.percent(getattr(point, name))}" for name in names)
        drawn.append(hover(left, right - left, f"from {point.threshold:g} on: {text}"))
    return svg("".join(drawn), 100, label, "square")


def scatter(points: Line, label: str) -> Markup:
    """Draw predicted against true values, with the diagonal of perfect predictions."""
    low, high = extremes(points)
    scale = Scale((low, high), (low, high))
    dots = "".join(f"M{short(scale.x(truth))} {short(scale.y(predicted))}h0" for truth, predicted in points)
    return svg(f'<path class="then faint" d="M0 100L100 0"/><path class="dots" d="{dots}"/>', 100, label, "square")


def extremes(points: Line) -> tuple[float, float]:
    """Return the least and the largest of all coordinates."""
    every = [value for point in points for value in point]
    return min(every), max(every)


def histogram(of: evaluation_record.Histogram, label: str) -> Markup:
    """Draw shares over bins."""
    return overlaid(None, Distribution(list(of.shares), edges=list(of.edges)), label)


def spreads(groups: Sequence[evaluation_record.ErrorSpread], label: str) -> Markup:
    """Draw the errors of each group as a median within its interval, around 0."""
    low, high = errors_range(groups)
    scale, marks = Scale((0, len(groups)), (low, high)), []
    marks.append(f'<path class="then faint" d="M0 {short(scale.y(0))}H100"/>')
    for index, group in enumerate(groups):
        x = short(scale.x(index + 0.5))
        marks.append(f'<path class="whisker v0" d="M{x} {short(scale.y(group.low))}V{short(scale.y(group.high))}"/>')
        marks.append(f'<path class="point v0" d="M{x} {short(scale.y(group.median))}h0"/>')
        span = f"{formatting.number(group.least)} to {formatting.number(group.most)}"
        text = f"predicted {span}: off by {formatting.number(group.median)}, {group.rows} rows"
        marks.append(hover(scale.x(index), scale.x(1), text))
    return svg("".join(marks), 100, label)


def errors_range(groups: Sequence[evaluation_record.ErrorSpread]) -> tuple[float, float]:
    """Return the range that `spreads` draws."""
    low, high = min(0.0, *(group.low for group in groups)), max(0.0, *(group.high for group in groups))
    return low - ROOM * (high - low), high + ROOM * (high - low)


def learning(points: Sequence[evaluation_record.LearningPoint], names: Sequence[str], label: str) -> Markup:
    """Draw scores by number of train rows."""
    low, high = scores_range(points, names)
    scale = Scale((0, points[-1].rows), (low, high))
    marks = []
    for index, name in enumerate(names):
        line = [(point.rows, getattr(point, name)) for point in points if getattr(point, name) is not None]
        dots = "".join(f"M{short(scale.x(x))} {short(scale.y(y))}h0" for x, y in line)
        marks.append(f'<path class="line {colour(index)}" d="{scale.path(line)}"/>' if len(line) > 1 else "")
        marks.append(f'<path class="point {colour(index)}" d="{dots}"/>')
    edges = _between([scale.x(point.rows) for point in points])
    for point, (left, right) in zip(points, pairwise(edges), strict=True):
        scores = [(name.replace("_", " "), getattr(point, name)) for name in names]
        text = ", ".join(f"{name} {formatting.metric(score)}" for name, score in scores if score is not None)
        marks.append(hover(left, right - left, f"{point.rows} rows: {text}"))
    return svg("".join(marks), 100, label)


def scores_range(points: Sequence[evaluation_record.LearningPoint], names: Sequence[str]) -> tuple[float, float]:
    """Return the range that `learning` draws."""
    values = [getattr(point, name) for point in points for name in names if getattr(point, name) is not None]
    low, high = min(values), max(values)
    room = ROOM * (high - low) or 0.01 * abs(high) or 1.0
    return low - room, high + room


def interval(low: float, value: float, high: float, reach: tuple[float, float], mark: float | None = None) -> Markup:
    """Draw a value within its interval on a strip from one value to another, and a mark to hold it against."""
    scale = Scale(reach, (0, 1))
    ends = [short(min(100.0, max(0.0, scale.x(end)))) for end in (low, value, high)]
    marks = f'<path class="then" d="M{short(scale.x(mark))} 0V100"/>' if mark is not None else ""
    marks += f'<path class="whisker v0" d="M{ends[0]} 50H{ends[2]}"/><path class="point v0" d="M{ends[1]} 50h0"/>'
    text = f"{formatting.number(value)}, from {formatting.number(low)} to {formatting.number(high)}"
    return svg(marks, 100, text, "strip")


def amount(value: float, reach: float, label: str) -> Markup:
    """Draw a value as a bar of a strip that ends at `reach`; below 0 there is none."""
    share = max(0.0, value) / reach if reach > 0 else 0.0
    return svg(f'<path class="now" d="{bar(0, 20, 100 * share, 60)}"/>' if share else "", 100, label, "share")


def reach(rows: Sequence[Any], low: str, high: str, around: float | None = None) -> tuple[float, float]:
    """Return the range that holds the intervals of all rows, with some room, and the value around which they lie."""
    every = [getattr(row, name) for row in rows for name in (low, high)] + ([] if around is None else [around])
    least, most = (min(every), max(every)) if every else (0.0, 1.0)
    room = ROOM * (most - least) or 0.05 * abs(most) or 1.0
    return least - room, most + room
