import msgspec
import numpy as np
import pytest

from lockstep.drift import quality
from lockstep.drift.quality import LabelledPredictions
from lockstep.drift.results import Interval
from lockstep.metrics.intervals import wilson
from tests.lockstep.small_profiles import make_profile


def labelled(right, rows, truths=None):
    truths = [place % 2 for place in range(rows)] if truths is None else truths
    values = [truth if place < right else 1 - truth for place, truth in enumerate(truths)]
    return LabelledPredictions(
        "1", 0.0, 9.0, values, [[0.4, 0.6]] * rows, truths, [float(place) for place in range(rows)]
    )


def test_quality_as_promised_is_quiet(profile):
    window = quality.measure(profile, labelled(450, 500))

    assert (window.verdict, window.labels, window.delay_s) == ("quiet", 500, 249.5)
    assert window.metric.value == 0.9
    assert window.metric.low < 0.9 < window.metric.high


@pytest.mark.parametrize(
    ("right", "rows", "verdict"),
    [
        (400, 500, "alarm"),
        (425, 500, "quiet"),  # 5 points below, but within noise and margin
        (4250, 5000, "quiet"),  # here within the noise of the evaluation and the margin
        (4100, 5000, "alarm"),
        (0, 49, "not enough data"),
        (0, 0, "not enough data"),
    ],
)
def test_quality_below_the_evaluation_is_an_alarm(profile, right, rows, verdict):
    assert quality.measure(profile, labelled(right, rows)).verdict == verdict


def test_an_error_has_a_margin_of_its_own_size(source):
    profile = make_profile(source, "regression")
    truths = source.random.normal(100, 9, 800)

    def verdict(error):
        values = truths + source.random.normal(0, error, 800)
        return quality.measure(profile, LabelledPredictions("1", 0.0, 9.0, values, None, truths)).verdict

    assert profile.evaluation == Interval(0.9, 0.87, 0.93)
    assert [verdict(error) for error in (0.5, 0.9, 0.95, 1.3)] == ["quiet", "quiet", "quiet", "alarm"]


def test_labels_that_the_version_lacks_are_left_out(profile):
    window = quality.measure(profile, labelled(100, 120, truths=[1] * 110 + [7] * 10))

    assert window.labels == 110


def test_a_metric_without_a_value_says_nothing(profile):
    auc = msgspec.structs.replace(profile, metric="roc_auc")

    assert quality.measure(auc, labelled(100, 100, truths=[1] * 100)).metric is None
    assert quality.measure(auc, labelled(80, 100)).metric is not None


def test_equal_quality_is_rarely_an_alarm(profile):
    random = np.random.default_rng(1)
    found = []
    for _ in range(2000):
        right, seen = random.binomial(400, 0.9), random.binomial(100, 0.9)
        promised = Interval(right / 400, *wilson(right, 400))
        live = Interval(seen / 100, *wilson(seen, 100))
        found.append(quality.worse(msgspec.structs.replace(profile, evaluation=promised), live))

    assert np.mean(found) < 0.02
