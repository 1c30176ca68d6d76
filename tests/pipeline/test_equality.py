"""Train/serve equality: what the app answers is what the evaluation wrote down, for every test row, exactly.

The large data sets are cut to a part unless --long asks for the whole, with which go the promised figures.
"""

import gzip
import json
import re

import pandas as pd
import pytest

from lockstep.files import read_json
from tests.pipeline.project import DATA, Project, copy_project
from tests_project import answers

EXAMPLES = {
    "breast-cancer": (None, "roc_auc", 0.98),
    "iris": ("iris.csv", "accuracy", 0.9),
    "housing": ("housing.csv", "r2", 0.80),
    "toxicity": ("toxicity.csv.gz", "f1_weighted", 0.88),
    "sentiment": ("imdb.csv.gz", "accuracy", 0.90),
}
PARTS = {"housing": (6_000, "r2", 0.6), "toxicity": (5_000, "f1_weighted", 0.8), "sentiment": (4_000, "accuracy", 0.8)}
"""Of these, how many rows are read, and what they must show at least."""

FORM_ROWS = 300


@pytest.fixture(scope="module", params=EXAMPLES)
def example(request, tmp_path_factory) -> tuple[str, Project]:
    """Each ready example, run from `lockstep use` to a promoted version."""
    name, (file, _, _) = request.param, EXAMPLES[request.param]
    folder = tmp_path_factory.mktemp(name)
    if file and not (DATA / file).is_file():
        pytest.skip(f"{file} is not in ../shared/data: the example {name} is NOT tested here")
    part = None if request.config.getoption("long") else PARTS.get(name)
    project = copy_project(folder / "project")
    source = file and (part_of(DATA / file, part[0], folder) if part else DATA / file)
    project.lockstep("use", name, "--force", *(("--source", str(source)) if source else ()))
    if part:
        params = re.sub(r"floors: {.*}", f"floors: {{{part[1]}: {part[2]}}}", project.read("params.yaml"))
        (project.root / "params.yaml").write_text(re.sub(r"trials: \d+", "trials: 4", params))
    project.stages()
    project.lockstep("promote")
    return name, project


def part_of(path, rows, folder):
    """Write some rows of a data set, drawn by chance, to a file of the same name."""
    opened = gzip.open if path.suffix == ".gz" else open
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    with opened(folder / path.name, "wt", encoding="utf-8") as stream:
        table.sample(rows, random_state=0).sort_index().to_csv(stream, index=False)
    return folder / path.name


@pytest.fixture(scope="module")
def client(example):
    """The app, with the registry away and the example's model baked in."""
    name, project = example
    return answers.client_of(project.root, name, project.root / ".app")


@pytest.fixture(scope="module")
def rows(example):
    return answers.rows_of(example[1].root)


@pytest.fixture(scope="module")
def recorded(example):
    return answers.recorded(example[1].root)


pytestmark = [pytest.mark.pipeline, pytest.mark.data]


def test_gate_passes_with_the_promised_quality(example, request):
    name, project = example
    _, metric, floor = (
        EXAMPLES[name] if request.config.getoption("long") else (None, *PARTS.get(name, EXAMPLES[name])[1:])
    )
    assert read_json(project.root / "reports/metrics.json")[metric] >= floor
    assert read_json(project.root / "reports/gate.json")["passed"]
    assert json.loads(project.lockstep("history", "--json").stdout)["production"] == "1"


def test_json_answers_equal_predictions_csv(client, rows, recorded):
    replies, sizes = [], [1, 2, 7, 500]
    while len(replies) < len(rows):
        replies += answers.by_json(client, rows[len(replies) : len(replies) + sizes[len(replies) % len(sizes)]])
    assert replies == recorded[1]


def test_form_answers_equal_predictions_csv(client, rows, recorded, pytestconfig):
    """Send row by row; of large test sets every n-th row, or every row with --all-rows."""
    step = 1 if pytestconfig.getoption("all_rows") else 1 + len(rows) // FORM_ROWS
    labels, expected = recorded
    for row, wanted in zip(rows[::step], expected[::step], strict=True):
        assert answers.by_form(client, row, labels) == wanted
