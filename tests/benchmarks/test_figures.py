import numpy as np
import pytest

from benchmarks.serving import figures
from benchmarks.serving.figures import BATCH, Sample


def sample(number=0, answers=100, elapsed_s=1.0, cpu_s=0.5, latencies=(1.0,), **faults):
    shown = {"wrong": 0, "refused": 0, "lost": 0} | faults
    return Sample("tabular", "lockstep", "16", number, answers, elapsed_s, cpu_s, 0.1, latencies_ms=latencies, **shown)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.99, 0.0),
        ([7.0], 0.5, 7.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
        (range(1, 101), 0.99, 99),
        (range(1, 102), 0.99, 100),
        (range(1, 11), 0.99, 10),
        (range(1, 101), 0.0, 1),
    ],
)
def test_percentile_is_the_nearest_rank(values, share, expected):
    assert figures.percentile(values, share) == expected


def test_a_summary_takes_medians_of_rounds_and_percentiles_of_all_answers():
    rounds = [
        sample(0, answers=100, latencies=(1.0,) * 99 + (50.0,)),
        sample(1, answers=300, latencies=(2.0,) * 100),
        sample(2, answers=200, latencies=(3.0,) * 100),
    ]
    made = figures.summarize(rounds)
    assert (made.per_second, made.lowest, made.highest) == (200, 100, 300)
    assert (made.p50_ms, made.p99_ms, made.checked, made.bad) == (2.0, 3.0, 300, 0)
    assert made.cpu_ms == pytest.approx(2.5)


@pytest.mark.parametrize("kind", ["wrong", "refused", "lost"])
def test_every_kind_of_bad_answer_counts(kind):
    assert figures.summarize([sample(), sample(1, **{kind: 3})]).bad == 3


def test_ratios_say_how_many_times_better_ours_is():
    ours = figures.summarize([sample(answers=300, latencies=(2.0,))])
    theirs = figures.summarize([sample(answers=10, latencies=(30.0,))])
    assert figures.ratio(ours, theirs, "speed") == 30
    assert figures.ratio(ours, theirs, "p99") == 15
    assert figures.ratio(theirs, ours, "p99") == pytest.approx(1 / 15)


def test_a_side_without_an_answer_has_no_ratio():
    none = figures.summarize([sample(answers=0, latencies=())])
    assert figures.ratio(none, none, "speed") == figures.ratio(none, none, "p99") == 0


@pytest.mark.parametrize(
    ("answer", "different"),
    [
        ([[0.25, 0.75]], False),
        ([[0.250001, 0.749999]], False),
        ([[0.25001, 0.74999]], True),
        ([[0.75, 0.25]], True),
        ([[0.25]], True),
        ([[0.25, 0.75], [0.25, 0.75]], True),
        ([[float("nan"), 0.75]], True),
    ],
)
def test_an_answer_differs_beyond_the_printed_decimals(answer, different):
    assert figures.differs(np.asarray(answer), np.asarray([[0.25, 0.75]])) is different


def test_each_round_begins_with_another_side():
    assert [figures.rotated("abc", number) for number in range(4)] == [
        list("abc"),
        list("bca"),
        list("cab"),
        list("abc"),
    ]
    assert figures.rotated([], 2) == []


def test_every_target_names_each_load_and_batches():
    made = figures.targets(["1", "16"], "floor")
    assert {target.load for target in made} == {"1", "16", BATCH}
    assert sum(target.against == "floor" for target in made) == 6
    assert [
        t.factor for t in made if (t.model, t.measure, t.against, t.load) == ("reviews", "speed", "bentoml", "16")
    ] == [5]
