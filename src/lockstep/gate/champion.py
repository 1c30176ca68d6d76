"""Checks of a candidate against the champion: same clients, paired scores on the same rows, regressed slices."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockstep.config.params import Gate
from lockstep.data.schema import Column, Schema, label_name
from lockstep.decision import Check, Comparison, Disagreement
from lockstep.metrics import comparison, scores
from lockstep.metrics.comparison import Difference, RegressedSlice
from lockstep.metrics.scores import Scored
from lockstep.metrics.slices import LEAST_ROWS, Slice

MOST_NAMED = 10

LEAST_FAIR = 50  # With fewer rows that are fair to both, the interval is too wide, and all rows are used.


@dataclass(frozen=True)
class PairedScores:
    """The predictions of candidate and champion on the same rows (n,), and the slices of these rows.

    `origins` are the rows of the source and those that came as feedback, where there are such. `fair` marks the rows
    (n,) that both or neither of the two was trained on; None where that is not known.
    """

    candidate: Scored
    champion: Scored
    slices: tuple[Slice, ...] = ()
    fair: NDArray[np.bool_] | None = None
    origins: tuple[Slice, ...] = ()

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return self.candidate.rows

    def on_fair_rows(self) -> "PairedScores":
        """Return the rows that are fair to both, or all if these are too few."""
        fair = self.fair
        if fair is None or fair.all() or fair.sum() < LEAST_FAIR:
            return self
        parts, origins = (tuple(part.among(fair) for part in each) for each in (self.slices, self.origins))
        return PairedScores(self.candidate.take(fair), self.champion.take(fair), parts, fair[fair], origins)

    def of(self, part: Slice) -> tuple[Scored, Scored]:
        """Return the predictions of candidate and champion on the rows of a slice."""
        return self.candidate.take(part.rows), self.champion.take(part.rows)


def compared_with(schema: Schema, paired: PairedScores, measured: Difference) -> Comparison | None:
    """Return the record of a comparison with the champion; None where the metric cannot be measured."""
    if measured.verdict == "not measurable":
        return None
    used = paired.on_fair_rows()
    gain = comparison.losses(used.champion) - comparison.losses(used.candidate)
    pairs = {name: _values(name, used) for name in scores.for_task(schema.task)}
    return Comparison(
        *(measured.metric, measured.value, measured.low, measured.high, measured.rows),
        left_out=paired.rows - used.rows,
        metrics={name: pair for name, pair in pairs.items() if np.isfinite(pair).all()},
        candidate_nearer=int((gain > 0).sum()),
        champion_nearer=int((gain < 0).sum()),
        examples=tuple(_disagreements(schema, paired, used)),
    )


def _values(name: str, used: PairedScores) -> tuple[float, float]:
    return scores.short(scores.measure(name, used.candidate)), scores.short(scores.measure(name, used.champion))


def _disagreements(schema: Schema, paired: PairedScores, used: PairedScores) -> Iterator[Disagreement]:
    """Yield the rows on which the two are furthest apart, under their numbers among all test rows."""
    is_used = np.ones(paired.rows, bool) if paired.fair is None or used.rows == paired.rows else paired.fair
    numbers = np.flatnonzero(is_used)
    losses = comparison.losses(used.candidate), comparison.losses(used.champion)

    def named(value: np.generic) -> str | float:
        return label_name(schema.labels[int(value)]) if schema.labels else scores.short(float(value))

    for row in comparison.furthest_apart(used.candidate, used.champion, MOST_NAMED):
        sides = (used.candidate.truth, used.candidate.predicted, used.champion.predicted)
        truth, candidate_value, champion_value = (named(side[row]) for side in sides)
        nearer = "candidate" if losses[0][row] < losses[1][row] else "champion"
        yield Disagreement(int(numbers[row]), truth, candidate_value, champion_value, nearer)


def against_champion(measured: Difference, require: str, note: str = "") -> Check:
    """Check that the candidate is not worse than the champion beyond noise, or, if that is required, better."""
    name = "better than the champion" if require == "better" else "not worse than the champion"
    if measured.verdict == "not measurable":
        return Check(name, False, f"{measured.metric} cannot be measured on these {measured.rows} rows{note}")
    reason = (
        f"{measured.metric} is {measured.value:+.4g} against the champion on the same {measured.rows} rows, "
        f"95 % between {measured.low:+.4g} and {measured.high:+.4g}: {measured.verdict}{note}"
    )
    return Check(name, measured.verdict == "better" or (require != "better" and measured.verdict != "worse"), reason)


def origins_hold(paired: PairedScores, metric: str, resamples: int, seed: int) -> Iterator[Check]:
    """Check that the candidate is not worse beyond noise on the rows of the source, nor on those of feedback.

    Each by itself: wrong labels of feedback are test rows too, on which a model that learned them looks better, and
    that must not outweigh what it lost elsewhere. Where the metric cannot be measured, as with labels of one class,
    accuracy is compared.
    """
    for part in paired.origins:
        if part.count < LEAST_ROWS:
            continue
        candidate, champion = paired.of(part)
        measured = comparison.difference(candidate, champion, metric, resamples, seed)
        if measured.verdict == "not measurable" and candidate.classes:
            measured = comparison.difference(candidate, champion, "accuracy", resamples, seed)
        reason = (
            f"{measured.metric} is {measured.value:+.4g} on the {measured.rows} test rows of the {part.name}, "
            f"95 % between {measured.low:+.4g} and {measured.high:+.4g}: {measured.verdict}"
        )
        yield Check(f"not worse on the {part.name}", measured.verdict != "worse", reason)


def slices_hold(paired: PairedScores, gate: Gate) -> Iterator[Check]:
    """Check that no slice is worse than under the champion by more than the margin beyond noise."""
    candidate, parts = paired.candidate, paired.slices
    if not parts:
        return
    regressed, tested = comparison.regressed_slices(candidate, paired.champion, parts, gate.slice_margin, gate.slice_p)
    margin = f"{gate.slice_margin:.4g}" if candidate.classes else f"{100 * gate.slice_margin:.4g} %"
    if not regressed:
        yield Check("slices not worse", True, f"none of {tested} slices is worse by more than {margin} beyond noise")
        return
    what = "accuracy" if candidate.classes else "mean absolute error"
    named = "; ".join(_spelled(part, what) for part in regressed[:MOST_NAMED])
    reason = f"{len(regressed)} of {tested} slices are worse by more than {margin} beyond noise: {named}"
    yield Check("slices not worse", False, reason)


def _spelled(item: RegressedSlice, what: str) -> str:
    part = item.part
    return f"{part.column} {part.name} ({part.count} rows): {what} {item.candidate:.4g}, was {item.champion:.4g}"


def fairness(paired: PairedScores, compared: PairedScores) -> str:
    """Return the caveat on the rows of the comparison."""
    if paired.fair is None:
        return "; the data changed since, and the champion may know some of these rows from training, which flatters it"
    if paired.fair.all():
        return ""
    if left_out := paired.rows - compared.rows:
        return f"; {left_out} rows are left out, as only one of the two was or may have been trained on them"
    unfair = paired.rows - int(paired.fair.sum())
    return f"; only one of the two was or may have been trained on {unfair} of these rows, which flatters it"


def same_clients(candidate: Schema, champion: Schema) -> Check:
    """Check that clients of the champion can use the candidate: the same columns, values, task and labels."""
    problems = []
    if (candidate.task, candidate.labels) != (champion.task, champion.labels):
        problems.append(
            f"it answers {candidate.task} {list(candidate.labels)}, not {champion.task} {list(champion.labels)}"
        )
    old, new = ({column.name: column for column in schema.columns} for schema in (champion, candidate))
    problems += [f"column {name!r} is new" for name in new.keys() - old.keys()]
    problems += [f"column {name!r} is gone" for name in old.keys() - new.keys()]
    problems += [problem for name in new.keys() & old.keys() for problem in _narrower(new[name], old[name])]
    return Check(
        "clients of the champion",
        not problems,
        "; ".join(sorted(problems)) or "takes and answers what the champion does",
    )


def _narrower(new: Column, old: Column) -> Iterator[str]:
    """Yield what a column takes no more."""
    name = f"column {new.name!r}"
    if new.kind != old.kind:
        yield f"{name} is {new.kind}, was {old.kind}"
        return
    if old.nullable and not new.nullable:
        yield f"{name} takes no null any more"
    if new.kind == "numeric" and new.largest < old.largest:
        yield f"{name} takes numbers up to {new.largest:.4g} in size, was {old.largest:.4g}"
    if new.kind == "categorical" and new.unknown == "refuse":
        if old.unknown != "refuse":
            yield f"{name} refuses unknown categories, which the champion takes"
        elif missing := sorted(set(old.categories) - set(new.categories)):
            more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
            yield f"{name} refuses {', '.join(map(repr, missing[:MOST_NAMED]))}{more}, which the champion takes"
