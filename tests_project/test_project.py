"""The checks of the project in this folder, for each of its models and any params.yaml: `make test-project`.

They say whether what stands here can be committed and served. The tests of the product itself are in tests/.
"""

import json
import subprocess
import sys

import pytest
import yaml
from dvc.utils.serialize import load_yaml

from lockstep.config.params import Params
from lockstep.data import cleaning, contract, parquet
from lockstep.inference import model_card
from tests_project.answers import by_form, by_json
from tests_project.hint import RUN_FIRST

FORM_ROWS, JSON_ROWS = 10, 200
FACTS = ("target", "task", "estimator", "metric", "metrics", "references", "rows", "source", "made_with")


def sample(values, most):
    """Return at most so many values, spread evenly from the first on."""
    return values[:: max(1, len(values) // most)][:most]


def test_params_are_valid(folder, params):
    assert list(yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))) == list(Params.model_fields)


def test_lock_is_in_step_with_params_code_and_data(folder, results):
    results("dvc.lock")
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--json"], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    changed = json.loads(done.stdout)
    if changed:
        told = json.dumps(changed, indent=1, sort_keys=True)
        pytest.fail(f"dvc.lock is out of step at {', '.join(sorted(changed))}: {RUN_FIRST}\n{told}", pytrace=False)


def test_every_stage_is_locked_with_the_params_in_force(folder, results):
    locked = load_yaml(results("dvc.lock"))["stages"]
    sections = load_yaml(folder / "params.yaml")  # as DVC does, to whom yes is a text
    recorded = {name: stage.get("params", {}).get("params.yaml", {}).get(name) for name, stage in locked.items()}
    other = [name for name, section in sections.items() if recorded.get(name) != section]
    assert other == [], f"params.yaml has changed since the last run, in {', '.join(other)}: {RUN_FIRST}"


def test_rows_keep_to_the_contract(params, results):
    section = params.data_preprocessing
    rows = cleaning.iso_dates(parquet.read(results("data/raw/data.parquet")), section.dates)
    rules = contract.rules(section.contract, params.data_ingestion.named)
    assert len(contract.enforce(rows, section.contract, rules).frame) > 0


def test_gate_passed(report):
    failed = [
        f"{check['name']}: {check['reason']}" for check in report("reports/gate.json")["checks"] if not check["passed"]
    ]
    if failed:
        hint = "better data or a better search, or lower floors in params.yaml; then `dvc repro` (docs/gate.md)"
        pytest.fail("the gate refuses this model:\n  " + "\n  ".join([*failed, hint]), pytrace=False)


def test_json_answers_equal_the_evaluation(client, rows, recorded):
    """Train/serve equality on test rows, spread over the whole set."""
    _, expected = recorded
    assert by_json(client, sample(rows, JSON_ROWS)) == sample(expected, JSON_ROWS)


def test_form_answers_equal_the_evaluation(client, rows, recorded):
    labels, expected = recorded
    assert [by_form(client, row, labels) for row in sample(rows, FORM_ROWS)] == sample(expected, FORM_ROWS)


def test_form_shows_a_control_for_each_column(client, rows):
    page = client.get("/", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert page.text.count('name="') >= len(rows[0])


def test_a_row_with_an_unknown_column_is_refused(client, rows):
    reply = client.post("/predict", json={"rows": [rows[0] | {"no such column": 1}]})
    assert (reply.status_code, "no such column" in reply.text) == (422, True)


def test_model_card_is_complete(client, report, params):
    card = report("models/card.json")
    assert card["format"] == model_card.FORMAT
    assert [name for name in FACTS if not card.get(name)] == []
    assert card["rows"]["train"] > card["rows"]["test"] > 0
    page = client.get("/model", headers={"Accept": "text/html"})
    assert (page.status_code, params.register_model.model_name in page.text) == (200, True)
    assert client.get("/model").json["card"] == card


def test_every_output_comes_out_again(folder, results, pytestconfig):
    results("dvc.lock")
    if not pytestconfig.getoption("long"):
        pytest.skip("--long runs the pipeline again and compares: lockstep verify")
    done = subprocess.run([sys.executable, "-m", "lockstep", "verify"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
