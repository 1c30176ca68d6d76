"""What the app answers by JSON and by form to the test rows of a project, as reports/predictions.csv prints it."""

import html
import re

import pandas as pd

from flask_app import create_app
from lockstep.config.settings import Settings
from lockstep.data import cleaning, frames, parquet
from lockstep.data.schema import Schema, label_name
from lockstep.errors import TrackingError
from lockstep.files import read_json

METER = re.compile(r'<meter min="0" max="1" value="([^"]+)" aria-label="([^"]*)">')
LABEL = re.compile(r'<output class="label[^"]*">(.*?)</output>', re.DOTALL)


def away():
    raise TrackingError("away")


def client_of(root, name, state):
    """Return a client of the app that serves a project's models/, as an image does; the registry is away."""
    settings = {"LOCKSTEP_MODEL_NAME": name, "LOCKSTEP_BAKED_MODEL": str(root / "models"), "LOCKSTEP_STATE": str(state)}
    app = create_app(Settings.read(settings), away)
    app.extensions["model_services"][name].look()
    return app.test_client()


def rows_of(root):
    """Return the test rows as a program would send them."""
    schema = Schema.from_json(read_json(root / "models/schema.json"))
    frame = cleaning.with_kinds(parquet.read(root / "data/interim/test.parquet"), schema.kinds)
    return schema.objects(frames.rows_of(frame, schema))


def recorded(root):
    """Return the labels of the probabilities, and of each row the prediction and probabilities of the evaluation."""
    written = pd.read_csv(root / "reports/predictions.csv", dtype=str, keep_default_na=False)
    labels = [name.removeprefix("probability_") for name in written.columns if name.startswith("probability_")]
    return labels, written.drop(columns=["row", "actual"]).to_numpy().tolist()


def by_json(client, rows):
    """Return what the app answers to some rows at once."""
    reply = client.post("/predict", json={"rows": rows})
    assert reply.status_code == 200, reply.text
    return [printed(answer) for answer in reply.json["predictions"]]


def printed(answer):
    if "probabilities" not in answer:
        return [str(answer["prediction"])]
    return [label_name(answer["prediction"]), *map(str, answer["probabilities"].values())]


def by_form(client, row, labels):
    """Return what the page of the form shows for a row."""
    reply = client.post("/predict", data={name: "" if value is None else str(value) for name, value in row.items()})
    assert reply.status_code == 200, reply.text
    shares = {html.unescape(name): value for value, name in METER.findall(reply.text)}
    return [html.unescape(LABEL.search(reply.text)[1]), *(shares[name] for name in labels)]
