"""The pipeline as a person runs it: `dvc repro` in a copy of the project."""

import hashlib
import json

import pytest
import yaml

from tests.pipeline.project import STAGES, copy_of

pytestmark = [pytest.mark.pipeline]


COMMITTED = {"dvc.lock", *(f"reports/{name}" for name in ("data.json", "evaluation.json", "gate.json"))}
COMMITTED |= {"reports/metrics.json", "reports/per_class.csv", "reports/search.json"}


def test_a_run_changes_the_lock_and_the_reports_for_git_and_nothing_else(finished):
    assert set(finished.run("git", "diff", "--name-only", "HEAD~1").stdout.split()) == COMMITTED


def test_nothing_changed_runs_no_stage_and_leaves_git_clean(finished):
    assert "Running stage" not in finished.repro()
    assert finished.git_status() == ""


def test_every_stage_is_recorded(finished):
    assert tuple(yaml.safe_load(finished.read("dvc.lock"))["stages"]) == STAGES


def test_outputs_carry_no_path_host_or_run(finished):
    info = json.loads(finished.read("reports/experiment_info.json"))
    for output in ("data/raw/source.json", "models/schema.json", "models/registered.json", "reports/gate.json"):
        text = finished.read(output)
        assert str(finished.root) not in text
        assert info["run_id"] not in text


def test_the_data_report_is_logged_with_the_run(finished):
    assert finished.logged("data.json") == finished.read("reports/data.json")
    assert "worst texture" in finished.logged("data.json")


def test_registering_twice_makes_one_version(finished, tmp_path):
    project = copy_of(finished, tmp_path / "again")
    project.script("register_model")
    (project.root / "models/registered.json").unlink()
    project.script("register_model")
    assert json.loads(project.read("reports/experiment_info.json"))["version"] == "1"
    refused = project.lockstep("promote", "--version", "2", ok=False)
    assert refused.returncode == 1
    assert "no version '2'" in refused.stderr


def test_dvc_shows_metrics_params_and_plots(finished, tmp_path):
    project = copy_of(finished, tmp_path / "shown")
    assert "accuracy" in project.run("dvc", "metrics", "show").stdout
    project.edit("params.yaml", "test_size: 0.2, seed: 42", "test_size: 0.2, seed: 7")
    assert "data_preprocessing.split.seed" in project.run("dvc", "params", "diff").stdout
    project.run("dvc", "plots", "show", "-o", "shown")
    page = project.read("shown/index.html")
    assert "ROC" in page
    assert "Weakest slices" in page


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


@pytest.fixture(scope="module")
def breakable(finished, tmp_path_factory):
    """A copy whose files a test breaks and puts back."""
    return copy_of(finished, tmp_path_factory.mktemp("broken") / "project")


@pytest.mark.parametrize("how", ["missing", "broken"])
@pytest.mark.parametrize("stage", STAGES)
def test_broken_input_gives_one_line_and_nothing_half_written(breakable, stage, how):
    name, told = BROKEN[stage]
    whole = {place: (breakable.root / place).read_bytes() for place in ("params.yaml", name)}
    try:
        _break(breakable, stage, name, how)
        before = _files(breakable)
        done = breakable.script(stage, ok=False)
        after = _files(breakable)
    finally:
        for place, content in whole.items():
            (breakable.root / place).write_bytes(content)
        (breakable.root / "nothing.csv").unlink(missing_ok=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.count("\n") <= 2
    assert told in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr
    assert after == before


def test_a_stage_that_fails_ends_its_process_with_one_line(breakable):
    matrix = breakable.root / "data/processed/train.npz"
    whole = matrix.read_bytes()
    matrix.unlink()
    done = breakable.run("python", "src/model_building.py", ok=False)
    matrix.write_bytes(whole)
    assert done.returncode == 1
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr


def _break(project, stage, name, how):
    if stage == "data_ingestion":
        project.edit("params.yaml", "source: sklearn:breast_cancer", "source: nothing.csv")
        if how == "broken":
            (project.root / "nothing.csv").write_bytes(b"PAR1 cut off")
    elif how == "missing":
        (project.root / name).unlink()
    else:
        (project.root / name).write_bytes(b"cut off")


def _files(project):
    made = [path for folder in ("data", "models", "reports") for path in (project.root / folder).rglob("*")]
    return {str(path): path.read_bytes() for path in made if path.is_file()}


@pytest.mark.long("runs the pipeline twice more")
def test_verify_tells_the_same_from_the_different(finished, tmp_path):
    """The clean copy lies in another folder, so this also says that two copies give the same bytes."""
    project = copy_of(finished, tmp_path / "tampered")
    schema = project.root / "models/schema.json"
    was = hashlib.md5(schema.read_bytes()).hexdigest()
    schema.write_text(schema.read_text().replace("mean radius", "mean diameter"))
    lock = project.read("dvc.lock").replace(was, hashlib.md5(schema.read_bytes()).hexdigest())
    (project.root / "dvc.lock").write_text(lock)
    done = project.lockstep("verify", "--json", ok=False)
    verdicts = {row["path"]: row["verdict"] for row in json.loads(done.stdout)}
    assert done.returncode == 1
    assert verdicts.pop("models/schema.json") == "different"
    assert set(verdicts.values()) == {"same"}
    assert len(verdicts) > 10


@pytest.mark.long("runs the pipeline once more")
def test_verify_says_same(finished):
    assert {row["verdict"] for row in json.loads(finished.lockstep("verify", "--json").stdout)} == {"same"}
