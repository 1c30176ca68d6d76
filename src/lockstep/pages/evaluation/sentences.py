"""The meaning of each figure of the evaluation report, in a sentence."""

from collections.abc import Sequence

from lockstep.decision import Comparison, Decision
from lockstep.html.formatting import metric, number, percent
from lockstep.metrics import evaluation_record
from lockstep.metrics.scores import METRICS


def named(name: str) -> str:
    """Return the title of a metric."""
    metric = METRICS.get(name)
    return (metric.title if metric else "") or name.replace("_", " ")


def meaning(name: str) -> str:
    """Return the meaning of a metric in a phrase; empty for a metric of another release."""
    metric = METRICS.get(name)
    return metric.meaning if metric else ""


def of_confusion(confusion: evaluation_record.Confusion) -> str:
    """State how many predictions are right, and which confusion is the most frequent."""
    table, labels = confusion.table, confusion.labels
    right, rows = sum(table[index][index] for index in range(len(table))), sum(map(sum, table))
    wrong = [(table[i][j], labels[i], labels[j]) for i in range(len(table)) for j in range(len(table)) if i != j]
    largest = max(wrong, default=(0, "", ""), key=lambda cell: cell[0])
    text = f"{right:,} of {rows:,} predictions are right."
    if not largest[0]:
        return text
    times = "once" if largest[0] == 1 else f"{largest[0]:,} times"
    return f"{text} The most frequent confusion: {largest[1]} predicted as {largest[2]}, {times}."


def of_calibration(calibration: evaluation_record.CalibrationCurve) -> str:
    """State whether the probabilities are calibrated."""
    bins = calibration.bins
    off = [point for point in bins if not point.low <= point.said <= point.high]
    if not off:
        return "Every interval contains the diagonal: these rows show no miscalibration."
    worst = max(off, key=lambda point: abs(point.came - point.said))
    which = "more" if worst.came > worst.said else "less"
    return (
        f"{len(off)} of {len(bins)} bins lie off the diagonal beyond noise: where {percent(worst.said)} is predicted, "
        f"it happens {which} often, in {percent(worst.came)}."
    )


def of_thresholds(points: Sequence[evaluation_record.ThresholdPoint]) -> str:
    """State where F1 is highest, and how the threshold 0.5 compares."""
    best = max(points, key=lambda point: point.f1)
    half = min(points, key=lambda point: abs(point.threshold - 0.5))
    return (
        f"F1 is highest, {metric(best.f1)}, at a threshold of {percent(best.threshold)}; "
        f"at {percent(half.threshold)} it is {metric(half.f1)}, "
        f"with precision {metric(half.precision)} and recall {metric(half.recall)}."
    )


def of_residuals(residuals: evaluation_record.Residuals) -> str:
    """State how far half and nearly all of the errors reach."""
    levels = residuals.quantiles
    return (
        f"Half of the residuals lie between {number(levels['0.25'])} and {number(levels['0.75'])}, nine of ten between "
        f"{number(levels['0.05'])} and {number(levels['0.95'])}; the median is {number(levels['0.5'])}."
    )


def of_spreads(groups: Sequence[evaluation_record.ErrorSpread]) -> str:
    """State where the errors spread most, and whether some answers are biased to one side."""
    widest = max(groups, key=lambda group: group.high - group.low)
    biased = [group for group in groups if not group.low <= 0 <= group.high]
    text = f"Residuals spread most where {number(widest.least)} to {number(widest.most)} is predicted."
    return text + (f" {len(biased)} of the ten groups are biased to one side." if biased else "")


def of_slices(weakest: evaluation_record.WeakestSlices) -> str:
    """State whether any slice is surely worse than the rest."""
    worse = [part for part in weakest.slices if part.surely_worse > 0]
    if not worse:
        return f"None of {weakest.looked_at} slices is worse than the rest beyond noise; the closest ones come first."
    top = worse[0]
    return (
        f"{len(worse)} of {weakest.looked_at} slices are worse than the rest beyond noise. "
        f"The weakest: {top.column} {top.name}, "
        f"{weakest.measure} {number(top.loss)} against {number(top.rest)} elsewhere."
    )


def of_importance(importance: evaluation_record.Importance) -> str:
    """State which column matters most, and how many matter at all."""
    columns = importance.columns
    if not columns:
        return "No column was shuffled."
    top, mattering = columns[0], [column for column in columns if column.drop > 2 * column.spread]
    text = f"Without {top.column}, {named(importance.metric)} falls by {number(max(0.0, top.drop))}."
    shown = f" {len(mattering)} of {len(columns)} columns matter beyond noise when shuffled alone."
    rest = importance.columns_in_all - len(columns)
    return text + shown + (f" {rest} more columns were not shuffled." if rest else "")


def of_learning(learning: evaluation_record.LearningCurve) -> str:
    """State whether more rows would help, by the last step of the curve."""
    scores = [(point.rows, point.held_out) for point in learning.points if point.held_out is not None]
    if len(scores) < 2:
        return "Too few rows for a curve."
    (before, earlier), (rows, last) = scores[-2:]
    grown = f"From {before:,} to {rows:,} rows, the score on held-out rows changed by {last - earlier:+.4f}."
    return f"{grown} A curve that still rises says that more rows would help; a gap to the train rows says overfitting."


def of_references(references: Sequence[evaluation_record.Reference]) -> str:
    """State whether the model is at least as good as the defaults."""
    worse = [reference.name for reference in references if reference.verdict == "worse"]
    if worse:
        return f"The model is worse than {' and '.join(worse)} beyond noise: the search missed something."
    return "None of scikit-learn's defaults is better than the model beyond noise, on the same test rows."


def of_champion(decision: Decision, comparison: Comparison) -> str:
    """Return the gate's verdict on the candidate against the champion, in the gate's own words."""
    text = (
        f"Verdict of the gate: {decision.verdict}. {named(comparison.metric)} is {signed(comparison.difference)} "
        f"against version {decision.against} on the same {comparison.rows:,} test rows, 95 % between "
        f"{signed(comparison.low)} and {signed(comparison.high)}."
    )
    if not comparison.left_out:
        return text
    return (
        f"{text} {comparison.left_out:,} test rows are left out: one of the two models may have been trained on them."
    )


def chosen_first(comparison: Comparison) -> list[tuple[str, tuple[float, float]]]:
    """Return the values of both models by metric, the one that the gate decides by first."""
    return sorted(comparison.metrics.items(), key=lambda pair: pair[0] != comparison.metric)


def gain(name: str, candidate: float, champion: float) -> float:
    """Return the difference in a metric, positive where the candidate is better."""
    return candidate - champion if METRICS[name].higher_is_better else champion - candidate


def signed(value: float) -> str:
    """Write a difference as the gate does, with its sign."""
    return f"{value:+.4g}"


def of_missing_comparison(decision: Decision | None, note: str = "") -> str:
    """Return why there is no comparison with a champion; empty where there is one."""
    if decision is None:
        return note or "The gate has not compared this model with Production yet: `lockstep promote --dry-run` does."
    if decision.comparison:
        return ""
    if not decision.against:
        return "No version was Production when the gate decided, so there was no champion to compare with."
    reasons = "; ".join(check.reason for check in decision.checks if "champion" in check.name and not check.passed)
    return f"Not compared with Production, version {decision.against}: {reasons or 'the record does not say why'}."
