"""Clients that others wrote ask the real server, and understand what it answers."""

import csv
import importlib.util
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from lockstep.client import Client, Model, NotServed, Refused
from lockstep.inference.predictor import Predictor

pytestmark = pytest.mark.server

SCRIPTS = Path(__file__).parent / "clients"
DATATYPES = {"numeric": "FP64"}
ONE_MODEL = pytest.mark.parametrize(
    "asked",
    ["mixed", *(pytest.param(name, marks=pytest.mark.long("tries one more model")) for name in ("default", "text"))],
    indirect=True,
)
"""For clients that take seconds to import; the model with columns of every kind is always tried."""


@pytest.fixture(params=["default", "mixed", "text"])
def asked(request, servers):
    """A running server, good rows, and what its model answers to them."""
    target = servers.target(request.param, "plain")
    folder = servers.bundles.get(request.param, servers.project.root / "models")
    names = [column["name"] for column in target.model.schema["columns"]]
    rows = [
        {name: row[name] for name in names}
        for row in json.loads((folder / "smoke.json").read_text(encoding="utf-8"))["rows"]
        if all(isinstance(value, str | float | int) for value in row.values())
    ]
    return target, rows, Predictor.load(folder).answers(rows)


def run(script, *arguments, python=sys.executable):
    """Run one of the clients and return what it printed."""
    command = [python, "-W", "ignore", str(SCRIPTS / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def columns(target, rows):
    """Return datatype and values of each column."""
    kinds = {column["name"]: column["kind"] for column in target.model.schema["columns"]}
    return {name: (DATATYPES.get(kinds[name], "BYTES"), [row[name] for row in rows]) for name in rows[0]}


def labels(answers):
    return [one["prediction"] for one in answers]


def shares(answers):
    return [list(one["probabilities"].values()) for one in answers]


def test_triton(asked):
    if importlib.util.find_spec("tritonclient") is None:
        pytest.skip("TRITONCLIENT IS NOT INSTALLED: THE OPEN INFERENCE PROTOCOL WAS NOT TRIED WITH IT")
    target, rows, answers = asked
    version = target.facts.raw["version"]
    found = run("triton.py", target.port, target.name, version, json.dumps(columns(target, rows)))
    assert found["states"] == [True] * 3
    assert "binary_tensor_data" in found["extensions"]
    assert found["inputs"] == list(rows[0])
    for way in ("binary", "json", "versioned"):
        assert (found[way]["predictions"], found[way]["probabilities"]) == (labels(answers), shares(answers)), way
        assert found[way]["version"] == version
    assert found["binary"]["id"] == "r1"
    status, message = found["refusal"] if len(rows[0]) > 1 else ("422", "missing column")
    assert (status, "missing column" in message) == ("422", True)


def test_kserve(asked, request):
    target, rows, answers = asked
    python = own_environment(request.config, "kserve>=0.18")
    found = run("kserve.py", target.port, target.name, json.dumps(columns(target, rows)), python=python)
    assert found["states"] == [True] * 3
    for way in ("binary", "json"):
        assert (found[way]["predictions"], found[way]["probabilities"]) == (labels(answers), shares(answers)), way
    status, message = found["refusal"] if len(rows[0]) > 1 else (422, "missing column")
    assert (status, "missing column" in message) == (422, True)


def own_environment(config, requirement):
    """Return the Python of an environment for a client that does not install beside ours; made if that is asked for."""
    name = requirement.partition(">")[0]
    folder = Path(config.cache.mkdir(f"client-{name}"))
    python, done = folder / "bin/python", folder / "done"
    if not done.exists():
        if not config.getoption("--clients"):
            pytest.skip(f"{name.upper()} HAS NO ENVIRONMENT: IT WAS NOT TRIED; --clients MAKES ONE")
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", requirement], check=True)
        done.touch()
    return python


@ONE_MODEL
def test_mlflow(asked):
    target, rows, answers = asked
    found = run("scoring.py", target.port, json.dumps(rows))
    assert found["same version"]
    for way in ("frame", "read", "lists", "records"):
        assert found[way] == labels(answers), way
    assert found["shares"] == shares(answers)


@ONE_MODEL
def test_sagemaker(asked):
    target, rows, answers = asked
    table = io.StringIO()
    csv.writer(table).writerows([rows[0].keys(), *(row.values() for row in rows)])
    found = run("sagemaker.py", target.port, json.dumps(rows), table.getvalue())
    assert found == dict.fromkeys(("json", "csv", "deployments"), labels(answers))


def test_our_own(asked):
    target, rows, answers = asked
    version = target.facts.raw["version"]
    with Client(f"http://127.0.0.1:{target.port}") as client:
        assert client.ready()
        assert client.model() == Model(target.name, version)
        found = client.predict(rows, version=version, model=target.name)
        assert [(one.prediction, dict(one.probabilities)) for one in found] == [
            (one["prediction"], one["probabilities"]) for one in answers
        ]
        with pytest.raises(Refused) as refused:
            client.predict([rows[0] | {"colour": 1}])
        assert refused.value.faults[0].column == "colour"
        with pytest.raises(NotServed):
            client.predict(rows, model="unheard-of")
