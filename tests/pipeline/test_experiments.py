"""Experiments as a person runs them, in a copy of the project."""

import json

import pytest

from tests.pipeline.project import copy_of

pytestmark = [pytest.mark.pipeline]


def runs_of(project):
    return {row["name"]: row for row in json.loads(project.lockstep("experiments", "--json").stdout)}


@pytest.mark.long("runs an experiment in a copy")
def test_an_experiment_beside_the_workspace_leads_to_its_run(finished, tmp_path):
    project = copy_of(finished, tmp_path / "tried out")
    project.run("dvc", "exp", "run", "--temp", "--name", "fewer", "-S", "model_evaluation.resamples=200")

    assert project.git_status() == ""
    rows = runs_of(project)
    assert rows["fewer"]["params"] == {"model_evaluation.resamples": 200}
    assert rows["fewer"]["metrics"]["accuracy"] > 0.9
    assert rows["fewer"]["page"].endswith(rows["fewer"]["run_id"])
    assert rows["fewer"]["run_id"] != rows["workspace"]["run_id"]
    assert rows["workspace"]["run_id"] == json.loads(project.read("reports/experiment_info.json"))["run_id"]


@pytest.mark.long("runs a queue of four experiments")
def test_a_grid_in_the_queue_fails_in_part_and_becomes_a_version_when_kept(finished, tmp_path):
    project = copy_of(finished, tmp_path / "queue")
    grid = "model_building.candidates.0.grid.C=[0.5],[0.7],[0.9]"
    queued = project.run("dvc", "exp", "run", "--queue", "-S", grid, "-S", "model_building.metric=accuracy").stdout
    assert queued.count("Queued experiment") == 3
    project.run("dvc", "exp", "run", "--queue", "--name", "wrong", "-S", "model_building.metric=acuracy")
    # The workers stay for a minute after the last one, and would keep a pipe open.
    project.run("sh", "-c", "dvc exp run --run-all --jobs 2 > /dev/null 2>&1", ok=False)

    assert project.git_status() == ""
    assert "'acuracy' is no metric" in project.run("dvc", "queue", "logs", "wrong").stdout
    rows = runs_of(project)
    assert (rows["wrong"]["state"], rows["wrong"]["run_id"]) == ("failed", None)
    tried = [row for name, row in rows.items() if row["baseline"] and name not in ("wrong", "workspace")]
    assert len({row["run_id"] for row in tried} - {None}) == 3

    kept = tried[0]
    project.run("dvc", "exp", "apply", kept["name"])
    assert runs_of(project)["workspace"]["run_id"] == kept["run_id"]
    assert project.lockstep("promote").returncode == 0
    info = json.loads(project.read("reports/experiment_info.json"))
    assert (info["version"], info["run_id"]) == ("2", kept["run_id"])


@pytest.mark.long("lets an experiment fail")
@pytest.mark.parametrize("where", [("--temp",), ()])
def test_an_experiment_that_fails_says_why(finished, tmp_path, where):
    project = copy_of(finished, tmp_path / "failing")
    done = project.run("dvc", "exp", "run", *where, "-S", "data_ingestion.source=nothing.csv", ok=False)
    assert done.returncode != 0
    assert "source 'nothing.csv' not found" in done.stderr + done.stdout
    assert project.run("dvc", "exp", "list").stdout == ""
    assert project.git_status() == ("" if where else " M params.yaml\n")
