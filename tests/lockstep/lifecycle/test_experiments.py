import copy
import subprocess
from pathlib import Path

import pytest

from lockstep.errors import ExperimentError
from lockstep.lifecycle import experiments
from lockstep.registry import provenance
from lockstep.registry.runs import LoggedRun

BASE = {"folds": 5, "metric": "auto", "candidates": [{"estimator": "ridge", "grid": {"alpha": [0.1, 1.0]}}]}
LOCK = "schema: '2.0'\nstages:\n  model_building: {cmd: a}\n"


def seen(rev, building, accuracy=0.9, name=None, error=None):
    """One commit as `dvc exp show --json` tells it."""
    data = {
        "timestamp": "2026-01-02T03:04:05",
        "params": {"params.yaml": {"data": {"model_building": building}}},
        "metrics": {"reports/metrics.json": {"data": {"accuracy": accuracy}}},
    }
    return {"rev": rev, "name": name, "data": data, "error": error, "experiments": None}


def ran(commit, name, state=None):
    return {"revs": [commit], "name": name, "executor": {"state": state} if state else None}


def read(*tried, workspace=BASE):
    """Read the answer of DVC with these experiments on one commit, and return them alone."""
    commit = seen("c0ffee", BASE, name="main") | {"experiments": list(tried)}
    return list(experiments.parse([seen("workspace", workspace), commit]))


def test_the_workspace_comes_first_then_the_commit_then_its_experiments():
    rows = read(ran(seen("e1", BASE | {"folds": 3}, 0.8), "three"), workspace=BASE | {"folds": 7})
    assert [(row.name, row.rev, row.state, row.baseline) for row in rows] == [
        ("workspace", "workspace", "done", "c0ffee"),
        ("main", "c0ffee", "done", ""),
        ("three", "e1", "done", "c0ffee"),
    ]
    assert [dict(row.params) for row in rows] == [{"model_building.folds": 7}, {}, {"model_building.folds": 3}]
    assert [row.metrics["accuracy"] for row in rows] == [0.9, 0.9, 0.8]


def test_experiments_of_one_model_have_its_params_and_metrics_alone():
    """DVC names the files of all models by their paths from the root, wherever it is called."""
    row = seen("c0ffee", BASE)
    for kind, other in (("params", {"model_building": {"folds": 9}}), ("metrics", {"r2": 0.5})):
        (name,) = row["data"][kind]
        row["data"][kind][f"usecases/churn/{name}"] = {"data": other}
    row["experiments"] = [ran(copy.deepcopy(row | {"experiments": None}), "three")]
    for folder, metrics in ((".", {"accuracy": 0.9}), ("usecases/churn", {"r2": 0.5})):
        rows = list(experiments.parse([experiments._of_model(copy.deepcopy(row), Path(folder))]))
        assert [dict(each.metrics) for each in rows] == [metrics, metrics]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"seed": 1}, {"model_building.seed": 1}),
        ({"candidates": [{"estimator": "ridge"}]}, {"model_building.candidates.0.grid.alpha": None}),
        (
            {"candidates": [{"estimator": "ridge", "grid": {"alpha": [5.0]}}]},
            {"model_building.candidates.0.grid.alpha": [5.0]},
        ),
        (
            {"candidates": [*BASE["candidates"], {"estimator": "lasso"}]},
            {"model_building.candidates.1.estimator": "lasso"},
        ),
    ],
)
def test_what_changed_has_the_name_that_set_param_takes(changed, told):
    assert dict(read(ran(seen("e", BASE | changed), "x"))[-1].params) == told


@pytest.mark.parametrize("state", ["queued", "running"])
def test_before_it_has_run_it_shows_no_figures(state):
    row = read(ran(seen("e", BASE), "x", state))[-1]
    assert (row.state, dict(row.metrics)) == (state, {})


def test_one_that_failed_says_so_and_shows_no_figures():
    failed = seen("e", BASE, error={"msg": "Experiment run failed", "type": ""})
    row = read(ran(failed, "x", "failed"))[-1]
    assert (row.state, dict(row.metrics), row.error) == ("failed", {}, "Experiment run failed")


@pytest.fixture
def commits(tmp_path, monkeypatch):
    """Two commits, the second with another dvc.lock."""
    monkeypatch.chdir(tmp_path)

    def git(*words):
        who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        return subprocess.run(["git", *who, *words], capture_output=True, text=True, check=True).stdout.strip()

    git("init", "-q")
    made = []
    for text in (LOCK, LOCK.replace("cmd: a", "cmd: b")):
        (tmp_path / "dvc.lock").write_text(text)
        git("add", "-A")
        git("commit", "-qm", "one")
        made.append((git("rev-parse", "HEAD"), provenance.digest_of_lock(text)))
    return made


def test_an_experiment_leads_to_its_own_run(commits):
    (first, of_first), (second, of_second) = commits
    logged = [
        LoggedRun("newest", "1", "", {"dvc_lock": of_first}),
        LoggedRun("another's", "1", "", {"dvc_lock": of_first, "dvc_exp_name": "else"}),
        LoggedRun("own", "1", "", {"dvc_lock": of_first, "dvc_exp_name": "tried"}),
        LoggedRun("stale", "1", "", {"dvc_lock": "gone", "dvc_exp_name": "fresh"}),
        LoggedRun("here", "1", "", {"dvc_lock": of_second}),
    ]

    def run_of(name, rev, state="done"):
        found = experiments.run_of(experiments.Experiment(name, rev, state), logged)
        return found and found.run_id

    assert run_of("tried", first) == "own"
    assert run_of("cached", first) == "newest"
    assert run_of("fresh", second) == "here"
    assert run_of("workspace", "workspace") == "here"
    assert run_of("tried", first, "failed") is None
    assert run_of("lost", "0" * 40) is None


def test_without_a_repository_the_cause_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(ExperimentError, match="dvc exp show failed: ") as caught:
        experiments.shown()
    assert "git repository" in caught.value.hint
