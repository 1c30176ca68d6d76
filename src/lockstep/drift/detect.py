"""Drift detection: tests a window of rows and scores against the reference profile of a version.

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
from lockstep.drift.numeric_baseline import CategoryBaseline, Floats, NumericBaseline, finite, seconds
from lockstep.drift.profile import Feature, Profile, Scalar
from lockstep.drift.results import DriftWindow, FeatureDrift

KS, CHI_SQUARE, TERMS = "Kolmogorov-Smirnov", "chi-square", "two proportions, Simes"
MOST_NEW = 10
MOST_NAMED = 5


@dataclass(frozen=True)
class RowWindow:
    """Consecutive predictions of a version: feature columns by name, scores (n,), and answers, for classes.

    A column that the log does not hold, or holds only hashed, is left out of `columns`.
    """

    version: str
    start: float
    end: float
    columns: Mapping[str, Sequence[Scalar]]
    scores: Floats
    answers: Sequence[Any] | None = None


def measure(profile: Profile, window: RowWindow) -> DriftWindow:
    """Test a window against the profile of the version that answered it."""
    limits, rows = profile.thresholds, len(window.scores)
    result = DriftWindow(window.version, window.start, window.end, rows, "not enough data")
    if rows < limits.min_rows:
        return result
    features_of_window = [
        feature for feature in profile.features if feature.name in window.columns and feature.name not in limits.ignore
    ]
    tests = list(
        chain.from_iterable(
            TESTS[feature.kind](feature, window.columns[feature.name], limits) for feature in features_of_window
        )
    )
    checked = [_with_checks(test, limits.check_p / max(1, len(features_of_window))) for test in tests]
    features = _correct_for_many(checked, limits)
    score = _score(profile, window)
    alarm = score.alarm or any(test.alarm for test in features)
    return msgspec.structs.replace(result, verdict="alarm" if alarm else "quiet", score=score, features=features)


@dataclass(frozen=True)
class FeatureTest:
    """A feature's test, the least effect that counts, and what its checks say: words with their p."""

    drift: FeatureDrift
    least_effect: float
    checks: Sequence[tuple[str, float]] = ()


def _with_checks(tested: FeatureTest, p: float) -> FeatureTest:
    """Let a check that stands at `p` be an alarm, with its words among the notes."""
    words = [sentence for sentence, chance in tested.checks if chance <= p]
    drift = tested.drift
    return FeatureTest(
        msgspec.structs.replace(drift, alarm=bool(words), notes=drift.notes + words), tested.least_effect
    )


def _correct_for_many(tests: Sequence[FeatureTest], limits: Monitoring) -> list[FeatureDrift]:
    """Correct the features' p for their number, and decide."""
    qs = iter(hypothesis_tests.benjamini_hochberg([test.drift.p for test in tests if test.drift.p is not None]))
    features = []
    for test in tests:
        drift = test.drift
        q = None if drift.p is None else next(qs)
        stands = q is not None and q <= limits.alpha and abs(drift.effect or 0.0) >= test.least_effect
        features.append(msgspec.structs.replace(drift, q=q, alarm=drift.alarm or stands))
    return features


def _numeric(feature: Feature, column: Sequence[Any], limits: Monitoring) -> Iterator[FeatureTest]:
    """Test the distribution of numbers, their missing share, and how many lie beyond the range of training."""
    values = finite(column)
    drift = _test_numbers(FeatureDrift(feature.name, feature.kind, KS, alarm=False), feature.numbers, values)
    outside, checks = 0.0, list(_missing(feature, len(column), len(column) - len(values), limits))
    if feature.numbers and feature.numbers.rows and len(values):
        low, high = feature.numbers.points[[0, -1]]
        count = int(((values < low) | (values > high)).sum())
        outside = count / len(values)
        if outside >= limits.min_share:
            chance = hypothesis_tests.outside(count, len(values), feature.numbers.rows)
            checks.append((f"{outside:.1%} beyond the range of training, {low:g} to {high:g}", chance))
    shown = _shares(feature, column, len(values))
    yield FeatureTest(msgspec.structs.replace(drift, out_of_range=outside, **shown), limits.min_ks, checks)


def _date(feature: Feature, column: Sequence[Any], limits: Monitoring) -> Iterator[FeatureTest]:
    """Test the distribution of moments and their missing share; that time moves on is no fault of range."""
    values = seconds(column)
    drift = _test_numbers(FeatureDrift(feature.name, feature.kind, KS, alarm=False), feature.numbers, values)
    checks = list(_missing(feature, len(column), len(column) - len(values), limits))
    yield FeatureTest(msgspec.structs.replace(drift, **_shares(feature, column, len(values))), limits.min_ks, checks)


def _categorical(feature: Feature, column: Sequence[Any], limits: Monitoring) -> Iterator[FeatureTest]:
    """Test the mix of categories, their missing share, and how many rows are of a category that training had not."""
    baseline = feature.categories or CategoryBaseline(0, {})
    counts = Counter(value for value in column if value is not None)
    drift = _test_categories(FeatureDrift(feature.name, feature.kind, CHI_SQUARE, alarm=False), baseline, counts)
    checks = list(_missing(feature, len(column), len(column) - counts.total(), limits))
    checks += _rare(baseline, counts, limits)
    unseen = [name for name, _ in counts.most_common() if name not in baseline.counts]
    shown = _shares(feature, column, counts.total()) | {"new_categories": unseen[:MOST_NEW]}
    yield FeatureTest(msgspec.structs.replace(drift, **shown), limits.min_cramers_v, checks)


def _rare(baseline: CategoryBaseline, counts: Counter[str], limits: Monitoring) -> Iterator[tuple[str, float]]:
    """Yield what categories say that are new, or so rare in training that the chi-square test leaves them together."""
    rows = counts.total()
    least = hypothesis_tests.LEAST_EXPECTED * baseline.rows / max(1, rows)
    rare = {name: count for name, count in baseline.counts.items() if count < least}
    singletons = sum(count == 1 for count in baseline.counts.values())
    rare_rows = sum(count for name, count in counts.items() if name in rare)
    unseen = sum(count for name, count in counts.items() if name not in baseline.counts)
    for words, count, before in (
        ("of categories that training had not", unseen, singletons),
        ("of categories that were rare in training", rare_rows, sum(rare.values())),
    ):
        if rows and count / rows >= limits.min_share:
            yield f"{count / rows:.1%} {words}", hypothesis_tests.more_rare(count, rows, before, baseline.rows)


def _text(feature: Feature, column: Sequence[Any], limits: Monitoring) -> Iterator[FeatureTest]:
    """Test how long texts are, how much of them is unknown, and which of the frequent words they hold."""
    if feature.text is None:
        return
    present = [value for value in column if isinstance(value, str)]
    texts = [feature.text.words.read(text) for text in present]
    shown = _shares(feature, column, len(present))
    length = _test_numbers(
        FeatureDrift(f"{feature.name} (length)", feature.kind, KS, alarm=False, **shown),
        feature.text.length,
        np.asarray([len(words) for words in texts], dtype=np.float64),
    )
    yield FeatureTest(length, limits.min_ks, list(_missing(feature, len(column), len(column) - len(present), limits)))
    unknown = FeatureDrift(f"{feature.name} (unknown words)", feature.kind, KS, alarm=False)
    yield FeatureTest(
        _test_numbers(unknown, feature.text.unknown, np.asarray(feature.text.words.unknown(texts))), limits.min_ks
    )
    yield FeatureTest(_terms(feature, texts), limits.min_cohens_h)


def _terms(feature: Feature, texts: Sequence[Sequence[str]]) -> FeatureDrift:
    """Test in how many texts each frequent word stands, where 5 or more are expected with and without it.

    The p of all is ``min(p_(i) terms / i)`` (Simes 1986), and the effect that of the word whose p is least.
    """
    drift = FeatureDrift(f"{feature.name} (terms)", feature.kind, TERMS, alarm=False)
    assert feature.text is not None  # noqa: S101 - the caller has looked
    words, size = feature.text.words, len(texts)
    held = np.asarray(list(words.terms.values()), dtype=np.int64)
    expected = held / max(1, words.rows) * size
    enough = (expected >= hypothesis_tests.LEAST_EXPECTED) & (size - expected >= hypothesis_tests.LEAST_EXPECTED)
    if not enough.any():
        return drift
    names = np.asarray(list(words.terms), dtype=object)[enough]
    texts_with = Counter(chain.from_iterable(map(set, texts)))
    now = np.asarray([texts_with[name] for name in names], dtype=np.int64)
    ps, effects = hypothesis_tests.terms(held[enough], words.rows, now, size)
    order = np.argsort(ps, kind="stable")
    moved = [
        f"{names[index]!r}: in {held[enough][index] / words.rows:.0%} of texts, now {now[index] / size:.0%}"
        for index in order[:MOST_NAMED]
    ]
    p = min(hypothesis_tests.benjamini_hochberg(ps.tolist()))
    notes = moved if p <= 0.05 else []
    return msgspec.structs.replace(drift, statistic=float(ps.min()), p=p, effect=float(effects[order[0]]), notes=notes)


def _score(profile: Profile, window: RowWindow) -> FeatureDrift:
    """Test the scores, and of several classes also the mix of answers; each then at half the threshold."""
    limit = profile.thresholds.score_p
    drift = _test_numbers(FeatureDrift("score", "score", KS, alarm=False), profile.score, window.scores)
    if profile.task != "multiclass" or profile.mix is None or window.answers is None:
        return msgspec.structs.replace(drift, alarm=drift.p is not None and drift.p <= limit)
    counts = Counter(map(label_name, window.answers))
    mixed = _test_categories(FeatureDrift("answers", "score", CHI_SQUARE, alarm=False), profile.mix, counts)
    ps = [each.p for each in (drift, mixed) if each.p is not None]
    p = min(1.0, 2 * min(ps)) if ps else None
    notes = [f"largest share: p {drift.p:.2g}"] if drift.p is not None else []
    notes += [f"mix of answers: p {mixed.p:.2g}, Cramer's V {mixed.effect:.2f}"] if mixed.p is not None else []
    both = f"{KS} and {CHI_SQUARE}"
    return msgspec.structs.replace(drift, test=both, p=p, notes=notes, alarm=p is not None and p <= limit)


def _test_numbers(drift: FeatureDrift, baseline: NumericBaseline | None, values: Floats) -> FeatureDrift:
    """Hold numbers (n,) against a baseline; without any on either side there is no test."""
    if baseline is None or not baseline.rows or not len(values):
        return drift
    distance, p = hypothesis_tests.kolmogorov_smirnov(baseline, values)
    then, now = baseline.distributions(values)
    return msgspec.structs.replace(drift, statistic=distance, p=p, effect=distance, baseline=then, window=now)


def _test_categories(drift: FeatureDrift, baseline: CategoryBaseline, counts: Counter[str]) -> FeatureDrift:
    """Hold counts of categories against a baseline; without enough on either side there is no test."""
    if not baseline.rows or not counts:
        return drift
    then, now = baseline.distributions(counts)
    drift = msgspec.structs.replace(drift, baseline=then, window=now)
    levels = list(dict.fromkeys((*baseline.counts, *counts)))
    tables = [np.asarray([sample.get(level, 0) for level in levels]) for sample in (baseline.counts, counts)]
    if (result := hypothesis_tests.chi_square(*tables)) is None:
        return drift
    statistic, p, effect = result
    return msgspec.structs.replace(drift, statistic=statistic, p=p, effect=effect)


def _missing(feature: Feature, rows: int, missing: int, limits: Monitoring) -> Iterator[tuple[str, float]]:
    """Yield what the share of missing values says, where it differs by enough."""
    then, now = feature.missing / max(1, feature.rows), missing / max(1, rows)
    if abs(now - then) >= limits.min_share and feature.rows:
        yield (
            f"{now:.1%} missing, in training {then:.1%}",
            hypothesis_tests.more_missing(feature.missing, feature.rows, missing, rows),
        )


def _shares(feature: Feature, column: Sequence[Any], present: int) -> dict[str, Any]:
    """Return the shares of missing values, as fields of a FeatureDrift."""
    return {"missing": 1 - present / max(1, len(column)), "baseline_missing": feature.missing / max(1, feature.rows)}


TESTS: dict[Kind, Callable[[Feature, Sequence[Any], Monitoring], Iterator[FeatureTest]]] = {
    "numeric": _numeric,
    "date": _date,
    "categorical": _categorical,
    "text": _text,
}
