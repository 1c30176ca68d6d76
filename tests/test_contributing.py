"""Each row of CONTRIBUTING's table "wish, touch" is done in a copy: what it says to touch is enough."""

import json
import re
import subprocess
import sys

import pytest

from tests.pipeline.project import copy_project
from tests.root import ROOT

LIBRARY = "src/lockstep/"
FORMS = (
    'FORMATS: dict[str, tuple[str, ...]] = {\n    "csv"',
    'FORMATS: dict[str, tuple[str, ...]] = {\n    "fixed": (".fwf",),\n    "csv"',
)
READ_FIXED = """
def read_fixed(content: Content, reader: Reader) -> Table:
    with content.opened() as counted:
        return Table(pd.read_fwf(io.BytesIO(counted.read())))


READERS["fixed"] = read_fixed
"""
READ_MEMORY = """
SOURCES["memory"] = lambda source, params, password: Rows(pd.DataFrame({"a": [1, 2], "y": [0, 1]}), "0" * 64)
"""
COMMAND = '''"""Greet.

Example: lockstep greet
"""


def add(parser):
    parser.add_argument("name")


def run(arguments, settings):
    return len(arguments.name)
'''
VIEW = """from flask import Blueprint, render_template

blueprint = Blueprint("greeting", __name__)


@blueprint.get("/greeting")
def show() -> str:
    return render_template("greeting.html")
"""
GOOD = 'params_file.parse((root / "params.yaml").read_text()'

EDITS = {
    "another file format": [
        (LIBRARY + "config/params.py", *FORMS),
        (LIBRARY + "data/sources/formats.py", "", READ_FIXED),
    ],
    "another kind of place for data": [(LIBRARY + "data/sources/read.py", "", READ_MEMORY)],
    "another estimator": [
        (
            LIBRARY + "modeling/catalog.py",
            "ESTIMATORS: dict[str, Entry] = {\n",
            'ESTIMATORS: dict[str, Entry] = {\n    "dummy": Entry("sklearn.dummy.DummyClassifier"),\n',
        ),
        (
            LIBRARY + "compat.py",
            "SAVED_TYPES = {\n",
            'SAVED_TYPES = {\n    "sklearn.dummy": "DummyClassifier",\n',
        ),
    ],
    "another metric": [
        (
            LIBRARY + "metrics/scores.py",
            "METRICS: dict[str, Metric] = {\n",
            'METRICS: dict[str, Metric] = {\n    "wrong": Metric(BINARY, lambda scored, weights:'
            ' 1 - _accuracy(scored, weights), "share of wrong answers", higher_is_better=False),\n',
        )
    ],
    "another text step": [
        (
            LIBRARY + "features/tokenizer.py",
            '    "lowercase": str.lower,\n',
            '    "lowercase": str.lower,\n    "swap": str.swapcase,\n',
        )
    ],
    "a key of `params.yaml`": [
        (
            LIBRARY + "config/params.py",
            "    timeout_s: float = Field(30.0",
            "    patience_s: int = 7\n    timeout_s: float = Field(30.0",
        )
    ],
    "a setting": [
        (
            LIBRARY + "config/settings.py",
            '    port: int = _setting("PORT"',
            '    colour: str = _setting("LOCKSTEP_COLOUR", "colour", "blue")\n    port: int = _setting("PORT"',
        )
    ],
    "another check of the gate": [
        (
            LIBRARY + "gate/checks.py",
            "    yield no_skew(facts.differing, facts.asked)\n",
            "    yield no_skew(facts.differing, facts.asked)\n    yield enough_rows(facts.asked)\n",
        ),
        (
            LIBRARY + "gate/checks.py",
            "",
            '\n\ndef enough_rows(rows: int) -> Check:\n    return Check("enough rows", rows > 10, f"{rows}")\n',
        ),
    ],
    "another command": [
        (LIBRARY + "commands/greet.py", None, COMMAND),
        (LIBRARY + "cli.py", 'COMMANDS = (\n    *("init",', 'COMMANDS = (\n    *("greet", "init",'),
    ],
    "another page or route": [
        ("flask_app/views/greeting.py", None, VIEW),
        (
            "flask_app/templates/greeting.html",
            None,
            '{% extends "base.html" %}{% block main %}good morning{% endblock %}',
        ),
        (
            "flask_app/__init__.py",
            "    return app\n",
            "    app.register_blueprint(greeting.blueprint)\n    return app\n",
        ),
        (
            "flask_app/__init__.py",
            "def create_app(",
            "from flask_app.views import greeting  # noqa: E402\n\n\ndef create_app(",
        ),
    ],
    "a ready example": [("examples/wine.yaml", None, "")],
    "another data set": [("params.yaml", "source: sklearn:breast_cancer", "source: sklearn:wine")],
    "a stricter gate": [("params.yaml", "floors: {accuracy: 0.93", "floors: {accuracy: 0.99")],
}
"""What to replace in which file; an empty text stands for its end, and None for a file that is not there yet."""

CHECKS = {
    "another file format": """
import pathlib
from lockstep.config.params import DataIngestion
from lockstep.data.sources import read
path = root / "rows.fwf"
path.write_text("aa y\\n10 1\\n20 0\\n")
for kind in ("auto", "fixed"):
    assert read.read(DataIngestion(source=str(path), format=kind)).frame["aa"].tolist() == [10, 20]
from lockstep.commands import init
parser = argparse.ArgumentParser(); init.add(parser)
assert parser.parse_args([str(path), "--format", "fixed"]).format == "fixed"
""",
    "another kind of place for data": """
from lockstep.config.params import DataIngestion
from lockstep.data.sources import read
assert read.read(DataIngestion(source="memory:x")).frame.shape == (2, 2)
""",
    "another estimator": """
import numpy as np
from lockstep.config.params import Candidate
from lockstep.modeling import catalog, serialization
model = catalog.make(Candidate(estimator="dummy"), {}, "binary", 0, False).fit([[0], [1], [1]], np.array([0, 1, 1]))
serialization.save(model, root / "dummy.skops")
assert serialization.load(root / "dummy.skops").predict([[5]]).tolist() == [1]
""",
    "another metric": """
import numpy as np
from lockstep.metrics import scores
from lockstep.pages.evaluation import sentences
assert "wrong" in scores.for_task("binary") and sentences.meaning("wrong") == "share of wrong answers"
scored = scores.Scored(np.array([0, 1]), np.array([1, 1]), np.array([[0.1, 0.9], [0.2, 0.8]]))
assert scores.measure("wrong", scored) == 0.5
from lockstep.gate import checks
(check,) = checks.floors({"wrong": 0.5}, {"wrong": 0.1})
assert not check.passed
""",
    "another text step": """
from lockstep.features.transformers import TextTfidf
assert list(TextTfidf(clean=["swap"], min_documents=1).fit(["Good"]).get_feature_names_out()) == ["gOOD"]
""",
    "a key of `params.yaml`": """
from lockstep.config import params_file
assert params_file.load(root / "params.yaml").data_ingestion.patience_s == 7
import scripts.docs_tables as tables
faults = list(tables.refresh(tables.DOCS / "params.md", tables.PAGES["params.md"], write=False))
assert any("is not up to date" in fault for fault in faults), faults
assert "params.md: say what data_ingestion.patience_s means" in faults, faults
""",
    "a setting": """
from lockstep.config.settings import Settings
assert (Settings.read({}).colour, Settings.read({"LOCKSTEP_COLOUR": "red"}).colour) == ("blue", "red")
""",
    "another check of the gate": """
import inspect
from lockstep.gate import checks
assert checks.enough_rows(11).passed and not checks.enough_rows(10).passed
""",
    "another command": """
from lockstep import cli
assert cli.main(["greet", "Ann"]) == 3
""",
    "another page or route": """
from flask_app import create_app
from lockstep.config.settings import Settings
app = create_app(Settings.read({"LOCKSTEP_STATE": str(root / "state"), "LOCKSTEP_MODEL_NAME": "m"}), lambda: None)
assert "good morning" in app.test_client().get("/greeting").text
""",
    "a ready example": """
from lockstep import cli
text = (root / "examples/iris.yaml").read_text()
(root / "examples/wine.yaml").write_text(text.replace("data/external/iris.csv", "sklearn:wine"))
before = (root / "params.yaml").read_text()
try:
    assert cli.main(["use", "wine", "--force"]) == 0
    assert "sklearn:wine" in (root / "params.yaml").read_text()
finally:
    (root / "params.yaml").write_text(before)
""",
    "another data set": """
from lockstep.config import params_file
from lockstep.data.sources import read
assert len(read.read(params_file.load(root / "params.yaml").data_ingestion).frame) == 178
""",
    "a stricter gate": """
from lockstep.config import params_file
from lockstep.gate import checks
floors = params_file.load(root / "params.yaml").model_evaluation.floors
assert not all(check.passed for check in checks.floors({"accuracy": 0.95, "roc_auc": 1.0}, floors))
""",
    "another database, tracking server or bucket": """
from lockstep.config.settings import Settings
settings = Settings.read({"MLFLOW_TRACKING_URI": "http://tracking.example", "DATABASE_URL": "postgresql://a/b"})
assert (settings.tracking_uri, settings.database_url) == ("http://tracking.example", "postgresql://a/b")
""",
}
ELSEWHERE = {
    "a diagram of the docs": "tests/docs",
    "what AWS holds": "tests/infra/test_policies.py",
    "a step of a workflow": "tests/github/test_workflows.py",
    "an object in Kubernetes": "tests/k8s/test_checks.py",
}
"""Rows whose files no code reads, and the tests that hold them."""

DRIVER = """
import argparse, json, os, pathlib, sys, traceback, warnings
warnings.simplefilter("ignore")
root = pathlib.Path.cwd()
faults = {}
for row, check in json.load(sys.stdin).items():
    try:
        exec(check, {"root": root, "argparse": argparse})
        faults[row] = ""
    except BaseException:
        faults[row] = traceback.format_exc()
print(json.dumps(faults))
"""


def edit(root, name, old, new):
    path = root / name
    if old is None:
        path.write_text(new)
        return
    text = path.read_text()
    assert old == "" or text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
    path.write_text(text.replace(old, new) if old else text + new)


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    """Do every wish in one copy, try them all in one process, and return what went wrong with each."""
    project = copy_project(tmp_path_factory.mktemp("contributing") / "copy")
    for edits in EDITS.values():
        for one in edits:
            edit(project.root, *one)
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps(CHECKS),
        cwd=project.root,
        env=project.environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("wish", CHECKS)
def test_what_a_row_says_to_touch_is_enough(faults, wish):
    assert faults[wish] == ""


def test_every_row_of_the_table_is_tried():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = page[page.index("| wish | touch |") : page.index("Never move or rename")]
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", table, re.MULTILINE)[1:]
    assert {wish for wish, _ in rows if not wish.startswith("---")} == {*CHECKS, *ELSEWHERE}
    assert [path for path in ELSEWHERE.values() if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("wish", EDITS)
def test_a_row_names_every_file_that_is_touched(wish):
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (touch,) = re.findall(rf"^\| {re.escape(wish)} \| (.+) \|$", page, re.MULTILINE)
    places = {
        "flask_app/__init__.py": "create_app",
        "flask_app/templates/greeting.html": "template",
        "flask_app/views/greeting.py": "flask_app/views/",
        "examples/wine.yaml": "examples/",
        LIBRARY + "commands/greet.py": "src/lockstep/commands/",
        LIBRARY + "cli.py": "cli.py",
    }
    assert [name for name, _, _ in EDITS[wish] if places.get(name, name) not in touch] == []
