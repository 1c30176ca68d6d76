"""Random search, successive halving, budgets, references, and a search that goes on after it was killed."""

import logging

import numpy as np
import pytest

from lockstep.config.params import Candidate, ModelBuilding
from lockstep.errors import ConfigError
from lockstep.modeling import serialization
from lockstep.modeling.search import search, trials
from lockstep.modeling.search.checkpoint import Checkpoint
from lockstep.modeling.search.fold_score import FoldResult

RANDOM = np.random.default_rng(4)
MATRIX = RANDOM.normal(size=(330, 5))
BINARY = np.where(MATRIX[:, 0] * MATRIX[:, 1] + RANDOM.normal(size=330) / 2 > 0, "yes", "no")
LOGISTIC = Candidate(estimator="logistic_regression", space="default")
TREE = Candidate(estimator="decision_tree", space="default")
BAD = Candidate(estimator="logistic_regression", space={"C": (-1.0, -2.0)})
SEARCHES = {
    "grid": {"method": "grid"},
    "random": {"method": "random", "trials": 9},
    "sample": {"method": "random", "trials": 5, "rows": 200},
    "patience": {"method": "random", "trials": 30, "patience": 3},
    "halving": {"method": "halving", "trials": 9, "factor": 2},
}


@pytest.fixture(autouse=True)
def few_rows_are_enough(monkeypatch):
    monkeypatch.setattr(search, "LEAST_ROWS", 50)


def choose(*candidates, checkpoint=None, matrix=MATRIX, target=BINARY, jobs=1, references=False, **own):
    params = ModelBuilding(candidates=candidates, folds=3, search=own, jobs=jobs, references=references)
    return search.choose(matrix, target, "binary", params, checkpoint=checkpoint)


def of(name, **more):
    grid = [
        Candidate(estimator="decision_tree", grid={"max_depth": (1, 2, 3)}),
        Candidate(estimator="logistic_regression"),
    ]
    return choose(*(grid if name == "grid" else (LOGISTIC, TREE)), **SEARCHES[name], **more)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_gives_the_same_whoever_comes_first(name, monkeypatch):
    found = of(name)

    def last_first(self, function, shared, tasks):
        yield from reversed([(place, function(*shared, *task)) for place, task in enumerate(tasks)])

    monkeypatch.setattr("lockstep.compute.pool.LocalPool.run", last_first)
    other = of(name)
    assert other.to_json() == found.to_json()
    assert serialization.dumps(other.estimator) == serialization.dumps(found.estimator)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_killed_at_any_moment_goes_on_and_repeats_nothing(name, tmp_path, monkeypatch):
    done = []
    add = Checkpoint.add

    def counted(self, piece, outcome):
        add(self, piece, outcome)
        done.append(piece)
        if len(done) in moments:
            raise Killed

    monkeypatch.setattr(Checkpoint, "add", counted)
    moments, whole = (), of(name)
    with Checkpoint(tmp_path, "w" * 64) as kept:
        of(name, checkpoint=kept)
    undisturbed, moments = done[:], (1, 7, len(done) - 1)
    done.clear()
    for _ in moments:
        with pytest.raises(Killed), Checkpoint(tmp_path, "k" * 64) as kept:
            of(name, checkpoint=kept)
    with Checkpoint(tmp_path, "k" * 64) as kept:
        found = of(name, checkpoint=kept)
    assert sorted(done) == sorted(undisturbed)
    assert len(set(done)) == len(done)
    assert found.to_json() == whole.to_json()
    assert serialization.dumps(found.estimator) == serialization.dumps(whole.estimator)


@pytest.mark.parametrize(
    ("count", "rows", "factor", "expected"),
    [
        (9, 10_000, 3, [1 / 9, 1 / 3, 1]),
        (8, 10_000, 3, [1 / 3, 1]),
        (27, 449, 3, [1 / 3, 1]),
        (27, 149, 3, [1]),
        (1, 10_000, 3, [1]),
        (16, 10_000, 4, [1 / 16, 1 / 4, 1]),
    ],
)
def test_rounds_of_halving(count, rows, factor, expected):
    assert search.rungs(count, rows, factor) == pytest.approx(expected)


def test_halving_keeps_the_best_of_each_round_and_all_rows_decide():
    found = of("halving")
    most = found.best.rows
    assert most in (220, 221)
    assert sorted(round(4 * trial.rows / most) for trial in found.trials) == [1] * 4 + [2] * 2 + [4] * 3
    assert {trial.status for trial in found.trials if trial.rows < most} == {"dropped"}
    assert found.best.mean == max(trial.mean for trial in found.trials if trial.rows == most)
    again = choose(LOGISTIC, TREE, method="random", trials=9)
    assert [trial.params for trial in again.trials] == [trial.params for trial in found.trials]


def test_references_are_held_on_all_rows_and_may_win():
    found = choose(TREE, references=True, method="halving", trials=5)
    named = {trial.estimator: trial for trial in found.trials if trial.reference}
    assert set(named) == {"logistic_regression", "hist_gradient_boosting"}
    assert {trial.rows for trial in named.values()} == {found.best.rows}
    assert found.best.mean >= max(trial.mean for trial in named.values())


def test_patience_ends_after_so_many_trials_that_brought_nothing():
    trials = of("patience").trials
    means = [trial.mean for trial in trials if trial.status == "compared"]
    best_at = int(np.argmax(means))
    assert of("patience").stopped == "patience"
    assert len(means) == best_at + 1 + 3
    assert {trial.status for trial in trials[len(means) :]} == {"left_out"}


def test_a_sample_of_the_rows_is_searched_and_all_are_fitted():
    found = of("sample")
    assert {trial.rows for trial in found.trials} <= set(range(131, 136))
    whole = choose(Candidate(estimator=found.best.estimator, params=found.best.params), method="grid")
    assert serialization.dumps(found.estimator) == serialization.dumps(whole.estimator)


def test_what_time_leaves_out_is_said(monkeypatch):
    now = iter(range(0, 10_000, 10))
    monkeypatch.setattr("lockstep.modeling.search.fold_score.time.time", lambda: next(now))
    found = of("random", minutes=1.5)
    status = [trial.status for trial in found.trials]
    assert found.to_json()["stopped"] == "time"
    assert status == ["compared"] * 2 + ["left_out"] * 7  # the budget ends in the midst of the third
    assert found.best in found.trials[:2]


def test_the_first_trial_is_compared_however_short_the_time(monkeypatch):
    found = of("random", minutes=1e-9)
    assert [trial.status for trial in found.trials] == ["compared"] + ["left_out"] * 8


def test_time_is_up_where_earlier_runs_have_spent_it(tmp_path):
    with Checkpoint(tmp_path, "t" * 64) as kept:
        kept.add("something", FoldResult(0.5))
        kept.spent_s = 61.0
        assert of("random", minutes=1.0, checkpoint=kept).stopped == "time"
    with Checkpoint(tmp_path, "t" * 64) as kept:
        assert of("random", minutes=1.0, checkpoint=kept).stopped is None


def test_a_failed_trial_of_a_random_search_is_recorded_and_does_not_end_it():
    found = choose(BAD, TREE, method="random", trials=6)
    failed = [trial for trial in found.trials if trial.status == "failed"]
    assert [trial.params for trial in failed] == [{"C": -1.0}, {"C": -2.0}] or len(failed) == 2
    assert all("The 'C' parameter" in trial.to_json()["cause"] for trial in failed)
    assert found.best.status == "compared"


def test_a_reference_that_fails_does_not_end_a_grid(monkeypatch):
    monkeypatch.setattr(search.space, "references", lambda task, sparse: ["gaussian_naive_bayes"])
    point = search.fold_score.fit_task

    def refused(matrix, target, terms, positive, estimator, *rest):
        if "Gaussian" in type(estimator).__name__:
            return FoldResult(None, "no", "never")
        return point(matrix, target, terms, positive, estimator, *rest)

    monkeypatch.setattr(trials.fold_score, "fit_task", refused)
    found = of("grid", references=True)
    assert [trial.status for trial in found.trials] == ["failed"] + ["compared"] * 4
    assert found.best.estimator != "gaussian_naive_bayes"


def test_if_all_trials_fail_the_first_cause_is_told():
    lone = Candidate(estimator="logistic_regression", params={"max_iter": 1, "tol": 1e-9}, space={"C": (1e6, 1e7)})
    with pytest.raises(ConfigError, match="all 3 trials failed, the first because LogisticRegression did not converge"):
        choose(lone, method="random", trials=3)


def test_a_winner_that_cannot_be_fitted_on_all_rows_gives_way(monkeypatch):
    first = of("random")
    fit = search.fold_score.fit

    def refused(estimator, matrix, target):
        if len(target) == len(BINARY) and estimator.get_params().items() >= first.best.params.items():
            raise ConfigError("too many rows")
        return fit(estimator, matrix, target)

    monkeypatch.setattr(search.fold_score, "fit", refused)
    found = of("random")
    given_way = found.trials[first.trials.index(first.best)]
    assert (given_way.status, given_way.cause) == ("failed", "on all rows: too many rows")
    assert found.best.mean == sorted((trial.mean for trial in first.trials), reverse=True)[1]


def test_a_metric_that_is_no_number_is_a_failed_trial(monkeypatch):
    measure = trials.fold_score.scores.measure
    monkeypatch.setattr(
        trials.fold_score.scores, "measure", lambda name, scored: float("nan") if scored.rows else measure(name, scored)
    )
    with pytest.raises(ConfigError, match="roc_auc is no number on a fold"):
        of("random")


def test_a_search_that_goes_on_says_so_and_what_leads(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("lockstep.runtime.progress.EVERY_S", 0.0)
    with caplog.at_level(logging.INFO), Checkpoint(tmp_path, "p" * 64) as kept:
        found = of("random", checkpoint=kept)
        of("random", checkpoint=kept)
    assert "27 of 27 fits, about 0 s left; best so far" in caplog.text
    assert f"{found.best.estimator}" in caplog.text
    assert f"roc_auc {found.best.mean:.4f}" in caplog.text
    assert "27 of 27 fits were done before and are not repeated" in caplog.text
