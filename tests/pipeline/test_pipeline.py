"""The pipeline as a person runs it: `dvc repro` in a copy of the project."""

import json

import pytest
import yaml

from tests.pipeline.project import copy_of, copy_project

pytestmark = [pytest.mark.pipeline]

STAGES = (
    "data_ingestion",
    "data_preprocessing",
    "feature_engineering",
    "model_building",
    "model_evaluation",
    "register_model",
)


def test_repro_leaves_git_clean(finished):
    assert finished.git_status() == ""


def test_two_copies_give_the_same_lock(finished, tmp_path):
    other = copy_project(tmp_path / "other")
    other.repro()
    assert other.read("dvc.lock") == finished.read("dvc.lock")


def test_nothing_changed_runs_no_stage(finished):
    assert "Running stage" not in finished.repro()


def test_every_stage_is_recorded(finished):
    assert tuple(yaml.safe_load(finished.read("dvc.lock"))["stages"]) == STAGES


def test_outputs_carry_no_path_host_or_run(finished):
    info = json.loads(finished.read("reports/experiment_info.json"))
    for output in ("data/raw/source.json", "models/schema.json", "models/registered.json", "reports/gate.json"):
        text = finished.read(output)
        assert str(finished.root) not in text
        assert info["run_id"] not in text


def test_registering_twice_makes_one_version(finished, tmp_path):
    project = copy_of(finished, tmp_path / "again")
    project.repro("--force", "--single-item", "register_model")
    (project.root / "models/registered.json").unlink()
    project.repro()
    assert json.loads(project.read("reports/experiment_info.json"))["version"] == "1"
    refused = project.lockstep("promote", "--version", "2", ok=False)
    assert refused.returncode == 1
    assert "no version '2'" in refused.stderr


def test_dvc_shows_metrics_params_and_plots(finished, tmp_path):
    project = copy_of(finished, tmp_path / "shown")
    assert "accuracy" in project.run("dvc", "metrics", "show").stdout
    project.edit("params.yaml", "seed: 42}   # auto", "seed: 7}   # auto")
    assert "data_preprocessing.split.seed" in project.run("dvc", "params", "diff").stdout
    project.run("dvc", "plots", "show", "-o", "shown")
    page = project.read("shown/index.html")
    assert "ROC" in page
    assert "confusion.png" in page


def test_own_file_under_dvc_is_watched(finished, tmp_path):
    project = copy_of(finished, tmp_path / "own")
    rows = "".join(f"{i},{i % 7},{'yes' if i % 3 else 'no'}\n" for i in range(60))
    (project.root / "data/external/mine.csv").write_text(f"a,b,target\n{rows}")
    project.run("dvc", "add", "data/external/mine.csv")
    project.edit("params.yaml", "source: sklearn:breast_cancer", "source: data/external/mine.csv")
    project.repro("data_preprocessing")
    assert "Running stage" not in project.repro("data_preprocessing")
    (project.root / "data/external/mine.csv").write_text(f"a,b,target\n{rows}7,7,yes\n")
    project.run("dvc", "add", "data/external/mine.csv")
    assert "data_ingestion" in project.repro("data_preprocessing")


BROKEN = {
    "data_ingestion": ("params.yaml", "nothing.csv"),
    "data_preprocessing": ("data/raw/data.parquet", "data/raw/data.parquet"),
    "feature_engineering": ("data/interim/train.parquet", "data/interim/train.parquet"),
    "model_building": ("models/features.skops", "features.skops"),
    "model_evaluation": ("models/model.skops", "model.skops"),
    "register_model": ("models/smoke.json", "smoke.json"),
}


@pytest.mark.parametrize("how", ["missing", "broken"])
@pytest.mark.parametrize("stage", STAGES)
def test_broken_input_gives_one_line_and_nothing_half_written(finished, tmp_path, stage, how):
    project = copy_of(finished, tmp_path / "broken")
    name, told = BROKEN[stage]
    if stage == "data_ingestion":
        project.edit("params.yaml", "source: sklearn:breast_cancer", "source: nothing.csv")
        if how == "broken":
            (project.root / "nothing.csv").write_bytes(b"PAR1 cut off")
    elif how == "missing":
        (project.root / name).unlink()
    else:
        (project.root / name).write_bytes(b"cut off")
    before = _files(project)
    done = project.run("python", f"src/{stage}.py", ok=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.count("\n") <= 2
    assert told in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr
    assert _files(project) == before


def _files(project):
    made = [path for folder in ("data", "models", "reports") for path in (project.root / folder).rglob("*")]
    return {str(path): path.read_bytes() for path in made if path.is_file()}


def test_verify_says_same(finished):
    done = finished.lockstep("verify", "--json")
    verdicts = json.loads(done.stdout)
    assert {row["verdict"] for row in verdicts} == {"same"}
    assert len(verdicts) > 10


def test_verify_says_different(finished, tmp_path):
    project = copy_of(finished, tmp_path / "tampered")
    project.edit("params.yaml", "C: [0.03, 0.1, 0.3, 1.0, 3.0]", "C: [0.01]")
    done = project.lockstep("verify", ok=False)
    assert done.returncode == 1
    assert "different model_building" in " ".join(done.stdout.split())
    assert "same data_ingestion" in " ".join(done.stdout.split())
