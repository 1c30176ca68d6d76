"""The evaluation report of the whole pipeline: drawn, logged, plotted, and what it says of a leak."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.pipeline.project import copy_of

pytestmark = pytest.mark.pipeline

PARAMS = """
data_ingestion: {{source: data/external/mine.csv}}
data_preprocessing: {{target: y, columns: {{other: auto}}}}
feature_engineering: {{}}
model_building: {{candidates: [{{estimator: {estimator}}}]}}
model_evaluation: {{resamples: 100}}
register_model: {{model_name: mine}}
"""


def test_the_records_are_logged_with_the_run_and_no_stage_draws_the_page(finished):
    assert not (finished.root / "reports/report.html").exists()
    assert finished.logged("evaluation.json") == finished.read("reports/evaluation.json")
    assert finished.logged("points/calibration.csv") == finished.read("reports/points/calibration.csv")


def test_the_facts_agree_with_the_metrics_and_name_no_place(finished):
    facts = json.loads(finished.read("reports/evaluation.json"))
    measured = json.loads(finished.read("reports/metrics.json"))
    assert {one["name"]: one["value"] for one in facts["metrics"]} == {
        name: value for name, value in measured.items() if name not in ("interval_95", "test_rows")
    }
    assert {one["verdict"] for one in facts["references"]} <= {"better", "as good"}
    assert str(finished.root) not in finished.read("reports/evaluation.json")


def test_it_is_drawn_again_beside_the_champion(finished, tmp_path):
    project = copy_of(finished, tmp_path / "again")
    project.lockstep("report")
    assert "No version was Production when the gate decided" in project.read("reports/report.html")
    project.lockstep("promote")
    told = json.loads(project.lockstep("report", "--json").stdout)
    assert told == {"report": str(project.root / "reports/report.html"), "champion": True}
    assert "No version was Production when the gate decided" in project.read("reports/report.html")
    assert project.logged("report.html") == project.read("reports/report.html")
    assert "Feature columns" in project.read("reports/data.html")


def test_a_registry_that_is_down_loses_no_report(finished, tmp_path):
    project = copy_of(finished, tmp_path / "down")
    project.settings["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"
    assert project.lockstep("report").returncode == 0
    assert "Not compared with Production: cannot" in project.read("reports/report.html")


def test_without_a_run_of_the_pipeline_it_says_what_to_do(finished, tmp_path):
    project = copy_of(finished, tmp_path / "empty")
    (project.root / "reports/evaluation.json").unlink()
    failed = project.lockstep("report", "--offline", ok=False)
    assert failed.returncode == 1
    assert "reports/evaluation.json" in failed.stderr
    assert "dvc repro" in failed.stderr


def test_dvc_draws_every_picture_and_compares_them(finished, tmp_path):
    project = copy_of(finished, tmp_path / "plots")
    for words in (("show",), ("diff", "HEAD")):
        project.run("dvc", "plots", *words, "-o", "shown")
        page = project.read("shown/index.html")
        for title in ("ROC", "Confusion", "Calibration", "Thresholds", "Learning curve", "Weakest slices"):
            assert title in page
        assert "worst texture" in page


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_b36_a_copy_of_the_target_with_noise_is_called_out_and_refused(finished, tmp_path, task):
    random = np.random.default_rng(0)
    score = random.normal(size=300)
    y = np.where(score > 0, "yes", "no") if task == "binary" else score
    flipped = random.random(300) < 0.03
    copy = np.where(flipped, y[::-1], y) if task == "binary" else score + random.normal(size=300) * 0.05
    rows = pd.DataFrame({"a": score + random.normal(size=300) * 2, "b": random.normal(size=300), "audit": copy, "y": y})
    project = copy_of(finished, tmp_path / task)
    rows.to_csv(project.root / "data/external/mine.csv", index=False)
    estimator = "logistic_regression" if task == "binary" else "ridge"
    (project.root / "params.yaml").write_text(PARAMS.format(estimator=estimator))
    project.stages()
    project.lockstep("report")
    gate = json.loads(project.read("reports/gate.json"))
    assert [one["name"] for one in gate["checks"] if not one["passed"]] == ["no leak"]
    page = project.read("reports/report.html")
    assert "Target leakage" in page
    assert page.index("audit") < page.index("The gate refuses this model")
    assert project.lockstep("promote", ok=False).returncode == 1
