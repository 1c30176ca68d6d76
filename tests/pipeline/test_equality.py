"""Train/serve equality: what the app answers is what the evaluation wrote down, for every test row, exactly.

The large data sets are cut to a part unless --long asks for the whole, with which go the promised figures.
"""

import gzip
import html
import json
import re

import pandas as pd
import pytest

from flask_app import create_app
from flask_app.models import model_service
from lockstep.config.settings import Settings
from lockstep.data import cleaning, frames, parquet
from lockstep.data.schema import Schema, label_name
from lockstep.errors import TrackingError
from lockstep.files import read_json
from tests.pipeline.project import DATA, Project, copy_of, copy_project

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
METER = re.compile(r'<meter min="0" max="1" value="([^"]+)" aria-label="([^"]*)">')
LABEL = re.compile(r'<output class="label[^"]*">(.*?)</output>', re.DOTALL)


@pytest.fixture(scope="module", params=EXAMPLES)
def example(request, tmp_path_factory) -> tuple[str, Project]:
    """Each ready example, run from `lockstep use` to a promoted version."""
    name, (file, _, _) = request.param, EXAMPLES[request.param]
    folder = tmp_path_factory.mktemp(name)
    if file is None:
        project = copy_of(request.getfixturevalue("finished"), folder / "project")
    else:
        if not (DATA / file).is_file():
            pytest.skip(f"{file} is not in ../shared/data: the example {name} is NOT tested here")
        part = None if request.config.getoption("long") else PARTS.get(name)
        project = copy_project(folder / "project")
        source = part_of(DATA / file, part[0], folder) if part else DATA / file
        project.lockstep("use", name, "--source", str(source))
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

    def away():
        raise TrackingError("away")

    app = create_app(
        Settings.read(
            {
                "LOCKSTEP_MODEL_NAME": name,
                "LOCKSTEP_BAKED_MODEL": str(project.root / "models"),
                "LOCKSTEP_STATE": str(project.root / ".app"),
            }
        ),
        away,
    )
    model_service.of(app).look()
    return app.test_client()


@pytest.fixture(scope="module")
def rows(example):
    """The test rows as a program would send them."""
    schema = Schema.from_json(read_json(example[1].root / "models/schema.json"))
    frame = cleaning.with_kinds(parquet.read(example[1].root / "data/interim/test.parquet"), schema.kinds)
    return schema.objects(frames.rows_of(frame, schema))


@pytest.fixture(scope="module")
def written(example):
    """What reports/predictions.csv says: prediction and probabilities as text, as they are printed."""
    return pd.read_csv(example[1].root / "reports/predictions.csv", dtype=str, keep_default_na=False)


def printed(answer):
    """Return an answer as predictions.csv prints it."""
    if "probabilities" not in answer:
        return [str(answer["prediction"])]
    return [label_name(answer["prediction"]), *map(str, answer["probabilities"].values())]


def expected(written):
    return written.drop(columns=["row", "actual"]).to_numpy().tolist()


pytestmark = [pytest.mark.pipeline, pytest.mark.data]


def test_gate_passes_with_the_promised_quality(example, request):
    name, project = example
    _, metric, floor = (
        EXAMPLES[name] if request.config.getoption("long") else (None, *PARTS.get(name, EXAMPLES[name])[1:])
    )
    assert read_json(project.root / "reports/metrics.json")[metric] >= floor
    assert read_json(project.root / "reports/gate.json")["passed"]
    assert json.loads(project.lockstep("history", "--json").stdout)["production"] == "1"


def test_json_answers_equal_predictions_csv(client, rows, written):
    answers, sizes = [], [1, 2, 7, 500]
    while len(answers) < len(rows):
        some = rows[len(answers) : len(answers) + sizes[len(answers) % len(sizes)]]
        reply = client.post("/predict", json={"rows": some})
        assert reply.status_code == 200, reply.text
        answers += [printed(answer) for answer in reply.json["predictions"]]
    assert answers == expected(written)


def test_form_answers_equal_predictions_csv(client, rows, written, pytestconfig):
    """Ask row by row; of large test sets every n-th row, or every row with --all-rows."""
    step = 1 if pytestconfig.getoption("all_rows") else 1 + len(rows) // FORM_ROWS
    probabilities = [name.removeprefix("probability_") for name in written.columns if name.startswith("probability_")]
    for row, wanted in zip(rows[::step], expected(written)[::step], strict=True):
        reply = client.post("/predict", data={name: "" if value is None else str(value) for name, value in row.items()})
        assert reply.status_code == 200, reply.text
        label = html.unescape(LABEL.search(reply.text)[1])
        shares = {html.unescape(name): value for value, name in METER.findall(reply.text)}
        assert [label, *(shares[name] for name in probabilities)] == wanted
