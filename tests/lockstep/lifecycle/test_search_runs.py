from lockstep import paths
from lockstep.files import write_json
from lockstep.lifecycle import search_runs
from lockstep.modeling.search.checkpoint import Checkpoint
from lockstep.registry import tracking


def trial(estimator, scores, status="compared", rows=300, **more):
    own = {"estimator": estimator, "params": {"C": len(scores)}, "scores": scores, "status": status, "rows": rows}
    return own | {"reference": False} | more


TRIALS = [
    trial("ridge", [0.5, 0.6]),
    trial("decision_tree", [0.7, 0.8], reference=True),
    trial("random_forest", [0.9, 0.99], "dropped", 100),
    trial("linear_svm", [], "failed", 0, cause="did not converge"),
    trial("lightgbm", [], "left_out", 0),
]
RECORD = {"best": 1, "metric": "r2", "method": "halving", "stopped": "time", "trials": TRIALS}
TIMINGS = [{"fit_s": 1.0 + place, "score_s": 0.5} for place in range(4)] + [{}]


def test_trials_become_runs_with_the_best_first():
    found = list(search_runs.runs(RECORD, TIMINGS))
    assert [run.name for run in found] == ["001 decision_tree", "000 ridge", "002 random_forest", "003 linear_svm"]
    assert found[0].metrics == {"cv_r2": 0.75, "rows": 300.0, "fit_s": 2.0, "score_s": 0.5}
    assert found[0].steps == {"fold_r2": [0.7, 0.8]}
    assert found[0].params == {"estimator": "decision_tree", "C": 2}
    assert found[0].tags == {"status": "compared", "trial": "1", "best": "true", "reference": "true"}
    assert [run.failed for run in found] == [False, False, False, True]
    assert found[3].tags["cause"] == "did not converge"


def test_an_error_is_best_where_it_is_small():
    record = RECORD | {"metric": "rmse"}
    assert next(search_runs.runs(record, [])).name == "000 ridge"


def test_only_the_best_are_sent_and_the_tag_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    many = [trial("ridge", [number / 100]) for number in range(80)]
    write_json(RECORD | {"trials": many, "best": 79}, paths.SEARCH)
    made, tags, reached = search_runs.read()
    assert (len(made), tags, reached) == (50, {"search_trials": "best 50 of 80"}, {"cv_r2": 0.79})
    assert made[0].name == "079 ridge"
    assert "fit_s" not in made[0].metrics
    with Checkpoint(paths.SEARCHES, "a" * 64) as kept:
        kept.finish(paths.SEARCH, [{"fit_s": float(number)} for number in range(80)])
    assert search_runs.read()[0][0].metrics["fit_s"] == 79.0


def test_runs_stand_below_their_run_on_every_server(client, model_name):
    children = tuple(search_runs.runs(RECORD, TIMINGS))
    run_id, _ = tracking.log_run(client, model_name, tracking.Run("parent", children=children))
    experiment = client.get_experiment_by_name(model_name).experiment_id
    below = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'", order_by=["metrics.cv_r2 DESC"])
    named = {run.info.run_name: run for run in below}
    assert set(named) == {"000 ridge", "001 decision_tree", "002 random_forest", "003 linear_svm"}
    best = named["001 decision_tree"]
    assert (best.data.params["C"], best.data.metrics["cv_r2"], best.info.status) == ("2", 0.75, "FINISHED")
    assert named["003 linear_svm"].info.status == "FAILED"
    steps = client.get_metric_history(best.info.run_id, "fold_r2")
    assert [(each.step, each.value) for each in sorted(steps, key=lambda each: each.step)] == [(0, 0.7), (1, 0.8)]
