"""Whether the rows and scores of a window are like those that a version was made from: arrays in, numbers out.

A window is an alarm if a feature's test stands after Benjamini-Hochberg and its effect is not too small to matter, or
if the score's test stands, or if a check does: values missing, beyond the range of training, or of categories that it
had not. With every threshold at its default and nothing changed, that happens to fewer than 2 windows in 100.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from lockstep.config.params import Kind, Monitoring
from lockstep.data.schema import label_name
from lockstep.drift import hypothesis_tests
from lockstep.drift.numeric_baseline import Categories, Floats, Numbers, finite, seconds
from lockstep.drift.profile import Feature, Profile, Scalar
from lockstep.drift.results import DriftWindow, FeatureDrift

KS, CHI_SQUARE, TERMS = "Kolmogorov-Smirnov", "chi-square", "two proportions, Simes"
MOST_NEW = 10
MOST_NAMED = 5


@dataclass(frozen=True)
class Window:
    """Consecutive predictions of a version: feature columns by name, scores (n,), and answers, for classes.

    A column that the log does not hold, or holds only hashed, is left out of `columns`.
    """

    version: str
    start: float
    end: float
    columns: Mapping[str, Sequence[Scalar]]
    scores: Floats
    answers: Sequence[Any] | None = None


def measure(profile: Profile, window: Window) -> DriftWindow:
    """Hold a window against the profile of the version that answered it."""
    limits, rows = profile.thresholds, len(window.scores)
    made = DriftWindow(window.version, window.start, window.end, rows, "not enough data")
    if rows < limits.min_rows:
        return made
    watched = [own for own in profile.features if own.name in window.columns and own.name not in limits.ignore]
    found = list(chain.from_iterable(TESTS[own.kind](own, window.columns[own.name], limits) for own in watched))
    checked = [_checked(each, limits.check_p / max(1, len(watched))) for each in found]
    features = _corrected(checked, limits)
    score = _score(profile, window)
    alarm = score.alarm or any(each.alarm for each in features)
    return msgspec.structs.replace(made, verdict="alarm" if alarm else "quiet", score=score, features=features)


@dataclass(frozen=True)
class Tested:
    """A feature's test, the least effect that counts, and what its checks say: words with their p."""

    drift: FeatureDrift
    least_effect: float
    checks: Sequence[tuple[str, float]] = ()


def _checked(tested: Tested, p: float) -> Tested:
    """Let a check that stands at `p` be an alarm, with its words among the notes."""
    words = [said for said, own in tested.checks if own <= p]
    drift = tested.drift
    return Tested(msgspec.structs.replace(drift, alarm=bool(words), notes=drift.notes + words), tested.least_effect)


def _corrected(found: Sequence[Tested], limits: Monitoring) -> list[FeatureDrift]:
    """Correct the features' p for their number, and decide."""
    qs = iter(hypothesis_tests.benjamini_hochberg([each.drift.p for each in found if each.drift.p is not None]))
    features = []
    for each in found:
        drift = each.drift
        q = None if drift.p is None else next(qs)
        stands = q is not None and q <= limits.alpha and abs(drift.effect or 0.0) >= each.least_effect
        features.append(msgspec.structs.replace(drift, q=q, alarm=drift.alarm or stands))
    return features


def _numeric(own: Feature, given: Sequence[Any], limits: Monitoring) -> Iterator[Tested]:
    """Test the distribution of numbers, their missing share, and how many lie beyond the range of training."""
    values = finite(given)
    drift = _compared(FeatureDrift(own.name, own.kind, KS, alarm=False), own.numbers, values)
    outside, checks = 0.0, list(_missing(own, len(given), len(given) - len(values), limits))
    if own.numbers and own.numbers.rows and len(values):
        low, high = own.numbers.points[[0, -1]]
        count = int(((values < low) | (values > high)).sum())
        outside = count / len(values)
        if outside >= limits.min_share:
            chance = hypothesis_tests.outside(count, len(values), own.numbers.rows)
            checks.append((f"{outside:.1%} beyond the range of training, {low:g} to {high:g}", chance))
    shown = _shares(own, given, len(values))
    yield Tested(msgspec.structs.replace(drift, out_of_range=outside, **shown), limits.min_ks, checks)


def _date(own: Feature, given: Sequence[Any], limits: Monitoring) -> Iterator[Tested]:
    """Test the distribution of moments and their missing share; that time moves on is no fault of range."""
    values = seconds(given)
    drift = _compared(FeatureDrift(own.name, own.kind, KS, alarm=False), own.numbers, values)
    checks = list(_missing(own, len(given), len(given) - len(values), limits))
    yield Tested(msgspec.structs.replace(drift, **_shares(own, given, len(values))), limits.min_ks, checks)


def _categorical(own: Feature, given: Sequence[Any], limits: Monitoring) -> Iterator[Tested]:
    """Test the mix of categories, their missing share, and how many rows are of a category that training had not."""
    known = own.categories or Categories(0, {})
    counts = Counter(value for value in given if value is not None)
    drift = _mixed(FeatureDrift(own.name, own.kind, CHI_SQUARE, alarm=False), known, counts)
    checks = list(_missing(own, len(given), len(given) - counts.total(), limits))
    checks += _rare(known, counts, limits)
    new = [name for name, _ in counts.most_common() if name not in known.counts]
    shown = _shares(own, given, counts.total()) | {"new_categories": new[:MOST_NEW]}
    yield Tested(msgspec.structs.replace(drift, **shown), limits.min_cramers_v, checks)


def _rare(known: Categories, counts: Counter[str], limits: Monitoring) -> Iterator[tuple[str, float]]:
    """Yield what categories say that are new, or so rare in training that the chi-square test leaves them together."""
    rows = counts.total()
    least = hypothesis_tests.LEAST_EXPECTED * known.rows / max(1, rows)
    rare = {name: count for name, count in known.counts.items() if count < least}
    once = sum(count == 1 for count in known.counts.values())
    seen = sum(count for name, count in counts.items() if name in rare)
    new = sum(count for name, count in counts.items() if name not in known.counts)
    for words, count, before in (
        ("of categories that training had not", new, once),
        ("of categories that were rare in training", seen, sum(rare.values())),
    ):
        if rows and count / rows >= limits.min_share:
            yield f"{count / rows:.1%} {words}", hypothesis_tests.more_rare(count, rows, before, known.rows)


def _text(own: Feature, given: Sequence[Any], limits: Monitoring) -> Iterator[Tested]:
    """Test how long texts are, how much of them is unknown, and which of the frequent words they hold."""
    if own.text is None:
        return
    present = [value for value in given if isinstance(value, str)]
    texts = [own.text.words.read(text) for text in present]
    shown = _shares(own, given, len(present))
    length = _compared(
        FeatureDrift(f"{own.name} (length)", own.kind, KS, alarm=False, **shown),
        own.text.length,
        np.asarray([len(words) for words in texts], dtype=np.float64),
    )
    yield Tested(length, limits.min_ks, list(_missing(own, len(given), len(given) - len(present), limits)))
    unknown = FeatureDrift(f"{own.name} (unknown words)", own.kind, KS, alarm=False)
    yield Tested(_compared(unknown, own.text.unknown, np.asarray(own.text.words.unknown(texts))), limits.min_ks)
    yield Tested(_terms(own, texts), limits.min_cohens_h)


def _terms(own: Feature, texts: Sequence[Sequence[str]]) -> FeatureDrift:
    """Test in how many texts each frequent word stands, where 5 or more are expected with and without it.

    The p of all is ``min(p_(i) terms / i)`` (Simes 1986), and the effect that of the word whose p is least.
    """
    drift = FeatureDrift(f"{own.name} (terms)", own.kind, TERMS, alarm=False)
    assert own.text is not None  # noqa: S101 - the caller has looked
    words, size = own.text.words, len(texts)
    held = np.asarray(list(words.terms.values()), dtype=np.int64)
    expected = held / max(1, words.rows) * size
    enough = (expected >= hypothesis_tests.LEAST_EXPECTED) & (size - expected >= hypothesis_tests.LEAST_EXPECTED)
    if not enough.any():
        return drift
    names = np.asarray(list(words.terms), dtype=object)[enough]
    seen = Counter(chain.from_iterable(map(set, texts)))
    now = np.asarray([seen[name] for name in names], dtype=np.int64)
    ps, effects = hypothesis_tests.terms(held[enough], words.rows, now, size)
    order = np.argsort(ps, kind="stable")
    moved = [
        f"{names[place]!r}: in {held[enough][place] / words.rows:.0%} of texts, now {now[place] / size:.0%}"
        for place in order[:MOST_NAMED]
    ]
    p = min(hypothesis_tests.benjamini_hochberg(ps.tolist()))
    notes = moved if p <= 0.05 else []
    return msgspec.structs.replace(drift, statistic=float(ps.min()), p=p, effect=float(effects[order[0]]), notes=notes)


def _score(profile: Profile, window: Window) -> FeatureDrift:
    """Test the scores, and of several classes also the mix of answers; each then at half the threshold."""
    limit = profile.thresholds.score_p
    drift = _compared(FeatureDrift("score", "score", KS, alarm=False), profile.score, window.scores)
    if profile.task != "multiclass" or profile.mix is None or window.answers is None:
        return msgspec.structs.replace(drift, alarm=drift.p is not None and drift.p <= limit)
    counts = Counter(map(label_name, window.answers))
    mixed = _mixed(FeatureDrift("answers", "score", CHI_SQUARE, alarm=False), profile.mix, counts)
    ps = [each.p for each in (drift, mixed) if each.p is not None]
    p = min(1.0, 2 * min(ps)) if ps else None
    notes = [f"largest share: p {drift.p:.2g}"] if drift.p is not None else []
    notes += [f"mix of answers: p {mixed.p:.2g}, Cramer's V {mixed.effect:.2f}"] if mixed.p is not None else []
    both = f"{KS} and {CHI_SQUARE}"
    return msgspec.structs.replace(drift, test=both, p=p, notes=notes, alarm=p is not None and p <= limit)


def _compared(drift: FeatureDrift, baseline: Numbers | None, values: Floats) -> FeatureDrift:
    """Hold numbers (n,) against a baseline; without any on either side there is no test."""
    if baseline is None or not baseline.rows or not len(values):
        return drift
    distance, p = hypothesis_tests.kolmogorov_smirnov(baseline, values)
    then, now = baseline.beside(values)
    return msgspec.structs.replace(drift, statistic=distance, p=p, effect=distance, baseline=then, window=now)


def _mixed(drift: FeatureDrift, baseline: Categories, counts: Counter[str]) -> FeatureDrift:
    """Hold counts of categories against a baseline; without enough on either side there is no test."""
    if not baseline.rows or not counts:
        return drift
    then, now = baseline.beside(counts)
    drift = msgspec.structs.replace(drift, baseline=then, window=now)
    levels = list(dict.fromkeys((*baseline.counts, *counts)))
    tables = [np.asarray([own.get(level, 0) for level in levels]) for own in (baseline.counts, counts)]
    if (found := hypothesis_tests.chi_square(*tables)) is None:
        return drift
    statistic, p, effect = found
    return msgspec.structs.replace(drift, statistic=statistic, p=p, effect=effect)


def _missing(own: Feature, rows: int, missing: int, limits: Monitoring) -> Iterator[tuple[str, float]]:
    """Yield what the share of missing values says, where it differs by enough."""
    then, now = own.missing / max(1, own.rows), missing / max(1, rows)
    if abs(now - then) >= limits.min_share and own.rows:
        yield (
            f"{now:.1%} missing, in training {then:.1%}",
            hypothesis_tests.more_missing(own.missing, own.rows, missing, rows),
        )


def _shares(own: Feature, given: Sequence[Any], present: int) -> dict[str, Any]:
    """Return the shares of missing values, as fields of a FeatureDrift."""
    return {"missing": 1 - present / max(1, len(given)), "baseline_missing": own.missing / max(1, own.rows)}


TESTS: dict[Kind, Callable[[Feature, Sequence[Any], Monitoring], Iterator[Tested]]] = {
    "numeric": _numeric,
    "date": _date,
    "categorical": _categorical,
    "text": _text,
}
