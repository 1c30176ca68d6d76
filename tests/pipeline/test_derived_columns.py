"""Functions of features.py from params.yaml to answers: two models, a change of the code, a server without it."""

import contextlib
import csv
import hashlib
import json

import pandas as pd
import pytest
import yaml

from tests.pipeline.project import copy_project
from tests.serving.load import ask
from tests.serving.real import Server, wait_for

pytestmark = [pytest.mark.server, pytest.mark.pipeline, pytest.mark.long("trains three times")]

CODE = """
def contrast(rows):
    return rows["worst area"] / rows["mean area"]
"""
HOUSES = """
def per_area(rows):
    return rows["price"] / rows["area"]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project of two models, both with derived columns, in Production."""
    project = copy_project(tmp_path_factory.mktemp("derived") / "project")
    project.edit("params.yaml", "feature_engineering: {}", "feature_engineering: {functions: {contrast: contrast}}")
    (project.root / "features.py").write_text(CODE)
    add_houses(project)
    project.commit("features")
    project.run("scripts/repro")
    return project


def add_houses(project):
    """Add a use case whose classes are those of a ratio of its columns."""
    sizes = {(100 + 7 * number % 90, 20 + 3 * number % 31) for number in range(300)}
    rows = [f"{price},{area},{'yes' if price / area > 4 else 'no'}" for price, area in sorted(sizes)]
    table = project.root.parent / "houses.csv"
    table.write_text("\n".join(["price,area,dear", *rows]) + "\n")
    project.lockstep("init", str(table), "--target", "dear", "--name", "houses", "--git")
    folder = project.root / "usecases/houses"
    assert "feature_engineering" in (folder / "features.py").read_text()
    (folder / "features.py").write_text(HOUSES)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["feature_engineering"]["functions"] = {"per area": "per_area"}
    params["model_building"]["candidates"] = [{"estimator": "logistic_regression"}]
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


@contextlib.contextmanager
def serving(project, folder=None, ready=True, **settings):
    """A server of the project, in its folder or another one, which is stopped however the test ends."""
    own = {"LOCKSTEP_STATE": str(project.root / ".lockstep"), "PYTHONPATH": project.environment["PYTHONPATH"]}
    server = Server(folder or project.root, "", workers=1, **own | settings)
    try:
        yield server.start(ready, within_s=120)
    finally:
        server.stop()


def test_served_answers_are_those_of_the_pipeline(project):
    with serving(project) as server:
        check_answers(project, server)
        check_other_model(server)


def check_answers(project, server):
    schema = json.loads(project.read("models/schema.json"))
    names = [column["name"] for column in schema["columns"]]
    assert "contrast" not in names and len(names) == 30  # a request has the raw columns
    table = pd.read_parquet(project.root / "data/interim/test.parquet")
    expected = list(csv.DictReader(project.read("reports/predictions.csv").splitlines()))
    rows = table[names].to_dict("records")
    status, _, answer = server.predict(rows)
    assert status == 200
    assert [str(each["prediction"]) for each in answer["predictions"]] == [row["prediction"] for row in expected]
    for row, together in zip(rows[:5], answer["predictions"], strict=False):
        alone = server.predict([row])[2]["predictions"][0]
        assert alone["probabilities"] == together["probabilities"]
    status, _, refusal = server.predict([rows[0], rows[1] | {"mean area": 0.0}])
    fault = {"row": 1, "column": "contrast", "problem": "contrast() of features.py gives no finite number"}
    assert (status, refusal["errors"]) == (422, [fault])
    assert server.predict([rows[0] | {"contrast": 1.0}])[0] == 422
    assert "contrast" not in server.get("/predict/template.csv", headers={"Accept": "*/*"})[2].splitlines()[0]


def check_other_model(server):
    rows = [{"price": 150.0, "area": 25.0}, {"price": 110.0, "area": 48.0}]
    status, _, answer = ask(server.port, "POST", "/predict/houses", {"rows": rows})
    assert (status, [each["prediction"] for each in answer["predictions"]]) == (200, ["yes", "no"])


def test_changed_code_makes_another_model_and_both_serve(project):
    before = json.loads(project.read("models/registered.json"))
    (project.root / "features.py").write_text(CODE.replace("worst area", "worst radius"))
    status = project.run("dvc", "status").stdout
    assert "features.py" in status and "data_preprocessing" not in status
    with serving(project) as server:
        assert "'data_ingestion' didn't change" in project.repro()
        assert json.loads(project.read("models/registered.json")) != before
        project.lockstep("promote", "--force", "--reason", "another feature")
        wait_for(lambda: server.get("/health")[2]["model"]["version"] == "2", within_s=90)
        project.lockstep("rollback")
        wait_for(lambda: server.get("/health")[2]["model"]["version"] == "1", within_s=90)


def test_a_server_without_the_code_refuses_the_version_by_name(project, tmp_path):
    digests = [hashlib.sha256(text.encode()).hexdigest()[:12] for text in (CODE, "# nothing\n")]
    (tmp_path / "features.py").write_text("# nothing\n")
    registry = f"sqlite:///{project.root}/.lockstep/mlflow.db"
    own = {"LOCKSTEP_STATE": str(tmp_path / "state"), "MLFLOW_TRACKING_URI": registry}
    with serving(project, tmp_path, ready=False, LOCKSTEP_MODEL_NAME="breast-cancer", **own) as server:
        fault = f"version 1 was refused: it needs features.py with digest {digests[0]}; this server has {digests[1]}"
        wait_for(lambda: fault in str(server.get("/health")[2]), within_s=60)
        assert server.get("/readyz")[0] == 503
