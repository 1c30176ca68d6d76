import numpy as np
import pytest
from sklearn import metrics as reference

from lockstep.errors import ConfigError
from lockstep.metrics import scores
from lockstep.metrics.scores import METRICS, Scored

TASKS = ("binary", "multiclass", "regression")


def scored(task, seed=0, rows=200, digits=2):
    """Return random rows; two digits leave many ties among the probabilities."""
    random = np.random.default_rng(seed)
    if task == "regression":
        truth = random.normal(size=rows)
        return Scored(truth, truth + random.normal(size=rows))
    labels = 2 if task == "binary" else 4
    truth = random.integers(0, labels, rows)
    logits = random.normal(size=(rows, labels)) + np.eye(labels)[truth]
    first = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probabilities = np.clip(first, 0.01, None).round(digits)
    probabilities[:, -1] = 1 - probabilities[:, :-1].sum(axis=1)
    return Scored(truth, probabilities.argmax(axis=1), probabilities)


def one_against_rest(s, w):
    return np.mean(
        [
            reference.roc_auc_score(s.truth == label, s.probabilities[:, label], sample_weight=w)
            for label in range(s.classes)
        ]
    )


REFERENCE = {
    "accuracy": lambda s, w: reference.accuracy_score(s.truth, s.predicted, sample_weight=w),
    "balanced_accuracy": lambda s, w: reference.balanced_accuracy_score(s.truth, s.predicted, sample_weight=w),
    "f1": lambda s, w: reference.f1_score(s.truth, s.predicted, sample_weight=w),
    "f1_macro": lambda s, w: reference.f1_score(s.truth, s.predicted, sample_weight=w, average="macro"),
    "f1_weighted": lambda s, w: reference.f1_score(s.truth, s.predicted, sample_weight=w, average="weighted"),
    "precision": lambda s, w: reference.precision_score(s.truth, s.predicted, sample_weight=w),
    "recall": lambda s, w: reference.recall_score(s.truth, s.predicted, sample_weight=w),
    "roc_auc": lambda s, w: (
        one_against_rest(s, w)
        if s.classes > 2
        else reference.roc_auc_score(s.truth, s.probabilities[:, 1], sample_weight=w)
    ),
    "average_precision": lambda s, w: reference.average_precision_score(
        s.truth, s.probabilities[:, 1], sample_weight=w
    ),
    "log_loss": lambda s, w: reference.log_loss(s.truth, s.probabilities, sample_weight=w),
    "brier": lambda s, w: reference.brier_score_loss(s.truth, s.probabilities[:, 1], sample_weight=w),
    "r2": lambda s, w: reference.r2_score(s.truth, s.predicted, sample_weight=w),
    "rmse": lambda s, w: reference.root_mean_squared_error(s.truth, s.predicted, sample_weight=w),
    "mae": lambda s, w: reference.mean_absolute_error(s.truth, s.predicted, sample_weight=w),
}


@pytest.mark.parametrize(("task", "name"), [(task, name) for task in TASKS for name in scores.for_task(task)])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_metrics_are_those_of_scikit_learn(task, name, weighted):
    for seed in range(5):
        rows = scored(task, seed, digits=2 if seed % 2 else 6)
        weights = np.random.default_rng(seed + 100).integers(0, 4, rows.rows).astype(float) if weighted else None
        expected = REFERENCE[name](rows, weights)
        assert scores.measure(name, rows, weights) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_every_metric_has_its_reference():
    assert set(REFERENCE) == set(METRICS)


@pytest.mark.parametrize("name", METRICS)
def test_order_of_the_rows_does_not_matter(name):
    rows = scored(METRICS[name].tasks[0])
    order = np.random.default_rng(1).permutation(rows.rows)
    probabilities = None if rows.probabilities is None else rows.probabilities[order]
    shuffled = Scored(rows.truth[order], rows.predicted[order], probabilities)
    assert scores.measure(name, shuffled) == pytest.approx(scores.measure(name, rows), rel=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_a_perfect_answer_is_best(name):
    task = METRICS[name].tasks[0]
    rows = scored(task)
    sure = None if rows.probabilities is None else np.eye(rows.classes)[rows.truth]
    perfect = scores.measure(name, Scored(rows.truth, rows.truth, sure))
    assert perfect == pytest.approx(1.0 if METRICS[name].higher_is_better else 0.0, abs=1e-12)
    worse = scores.measure(name, rows)
    assert worse < perfect if METRICS[name].higher_is_better else worse > perfect


@pytest.mark.parametrize(
    ("truth", "chances", "area"),
    [
        pytest.param([0, 1], [0.5, 0.5], 0.5, id="all-tied"),
        pytest.param([0, 1, 0, 1], [0.2, 0.8, 0.8, 0.9], 0.875, id="one-tie"),
        pytest.param([1, 0], [0.1, 0.9], 0.0, id="upside-down"),
    ],
)
def test_ties_count_half(truth, chances, area):
    ones = np.asarray(chances)
    rows = Scored(np.asarray(truth), (ones > 0.5).astype(int), np.column_stack((1 - ones, ones)))
    assert scores.measure("roc_auc", rows) == area


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_one_class_alone_has_no_ranking(name):
    rows = Scored(np.zeros(4, int), np.zeros(4, int), np.full((4, 2), 0.5))
    assert np.isnan(scores.measure(name, rows))


def test_a_constant_truth_has_no_r2():
    assert np.isnan(scores.measure("r2", Scored(np.ones(3), np.ones(3))))


def test_a_resample_is_a_count_of_each_row():
    values = Scored(np.arange(50.0), np.zeros(50))
    draws = list(scores.resamples(values, 200, seed=1))
    assert {draw.sum() for draw in draws} == {50.0}
    assert np.mean(draws) == 1.0
    assert np.std([draw[0] for draw in draws]) == pytest.approx(1.0, abs=0.2)
    np.testing.assert_array_equal(draws[3], list(scores.resamples(values, 4, seed=1))[3])
    assert (draws[0] != next(scores.resamples(values, 1, seed=2))).any()


def test_classes_are_resampled_each_for_itself():
    truth = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [40, 9, 1]))
    draws = np.stack(list(scores.resamples(Scored(truth, truth, np.eye(3)[truth]), 400, seed=1)))
    for label, rows in enumerate([40, 9, 1]):
        assert (draws[:, truth == label].sum(axis=1) == rows).all()
        assert draws[:, truth == label].mean(axis=0) == pytest.approx(np.ones(rows), abs=0.25)
        assert draws[:, truth == label].std() == pytest.approx(np.sqrt(1 - 1 / rows), abs=0.05)


def test_a_weight_is_a_repeated_row():
    rows = scored("binary", rows=60)
    counts = next(scores.resamples(rows, 1, seed=3))
    again = np.repeat(np.arange(60), counts.astype(int))
    repeated = Scored(rows.truth[again], rows.predicted[again], rows.probabilities[again])
    for name in scores.for_task("binary"):
        assert scores.measure(name, rows, counts) == pytest.approx(scores.measure(name, repeated), rel=1e-12)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    covered = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        right = random.random(150) < 0.8
        rows = Scored(np.zeros(150, int), (~right).astype(int), np.full((150, 2), 0.5))
        interval = scores.intervals(rows, ["accuracy"], 200, seed)["accuracy"]
        covered += interval.low <= 0.8 <= interval.high
    assert 88 <= covered <= 99


def test_intervals_are_repeatable_and_hold_the_value():
    rows = scored("multiclass")
    names = scores.for_task("multiclass")
    bounds = scores.intervals(rows, names, 100, seed=1)
    assert bounds == scores.intervals(rows, names, 100, seed=1) != scores.intervals(rows, names, 100, seed=2)
    assert all(own.low < scores.measure(name, rows) < own.high for name, own in bounds.items())


def test_every_resample_counts_where_a_class_has_one_row():
    rows = scored("binary", rows=30)
    few = Scored(np.arange(30) // 29, rows.predicted, rows.probabilities)
    interval = scores.intervals(few, ["roc_auc"], 100, seed=1)["roc_auc"]
    assert 0 <= interval.low <= interval.high <= 1
    assert interval.draws == 100


def test_an_interval_says_on_how_many_resamples_it_rests():
    three = Scored(np.asarray([1.0, 1.0, 2.0]), np.asarray([1.0, 1.2, 1.5]))
    interval = scores.intervals(three, ["r2"], 200, seed=1)["r2"]
    assert 100 < interval.draws < 200  # in the others all rows have the same truth
    assert np.isfinite([interval.low, interval.high]).all()


@pytest.mark.parametrize("name", ["accuracy", "log_loss", "r2", "rmse", "mae"])
def test_a_difference_is_positive_for_the_better(name):
    task = METRICS[name].tasks[0]
    rows = scored(task)
    if task == "regression":
        better = Scored(rows.truth, (rows.truth + rows.predicted) / 2)
    else:
        chances = (rows.probabilities + np.eye(2)[rows.truth]) / 2
        better = Scored(rows.truth, chances.argmax(axis=1), chances)
    value, low, high = scores.difference(better, rows, name, 200, seed=1)
    assert value == pytest.approx(abs(scores.measure(name, better) - scores.measure(name, rows)))
    assert 0 < low < value < high
    back = scores.difference(rows, better, name, 200, seed=1)
    assert back == pytest.approx((-value, -high, -low))
    assert scores.difference(rows, rows, name, 100, seed=1) == (0, 0, 0)


@pytest.mark.parametrize(("task", "name"), [("binary", "roc_auc"), ("multiclass", "f1_weighted"), ("regression", "r2")])
def test_the_metric_of_a_task(task, name):
    assert scores.primary("auto", task) == name
    assert scores.primary("accuracy" if task != "regression" else "mae", task) in ("accuracy", "mae")


@pytest.mark.parametrize(
    ("name", "task", "problem"),
    [
        (
            "acuracy",
            "binary",
            "model_building.metric: 'acuracy' is no metric of binary targets; did you mean 'accuracy'?",
        ),
        ("rmse", "multiclass", "'rmse' is no metric of multiclass targets"),
        ("brier", "multiclass", "'brier' is no metric of multiclass targets"),
        ("roc_auc", "regression", "'roc_auc' is no metric of regression targets"),
    ],
)
def test_metric_faults(name, task, problem):
    with pytest.raises(ConfigError) as refused:
        scores.primary(name, task)
    assert problem in refused.value.problem
    assert refused.value.hint == f"accepted: {', '.join(scores.for_task(task))}"
