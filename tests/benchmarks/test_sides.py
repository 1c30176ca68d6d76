import json

import numpy as np
import pytest

from benchmarks.serving.floor import ANSWER
from benchmarks.serving.sides import SIDES, TUNED

ROWS = [{"size": 1.5, "note": "so so"}, {"size": 2.0, "note": "good"}]
CHANCES = [[0.25, 0.75], [0.5, 0.5]]


def ours(*changed):
    answers = [
        {"id": str(place), "prediction": "yes", "probabilities": dict(zip(("no", "yes"), row, strict=True))}
        for place, row in enumerate(CHANCES)
    ]
    answers[0] |= dict(changed)
    return {"model": {"name": "m", "version": "1"}, "predictions": answers}


ANSWERS = {
    "lockstep": ours(),
    "mlflow": {"predictions": CHANCES},
    "bentoml": CHANCES,
    "mlserver": {"outputs": [{"name": "predict_proba", "shape": [2, 2], "data": [0.25, 0.75, 0.5, 0.5]}]},
    "fastapi": {"probabilities": CHANCES},
}


@pytest.mark.parametrize("name", list(SIDES))
def test_probabilities_are_read_from_each_sides_answer(name):
    plain = {tuned: plain for plain, tuned in TUNED.items()} | {"floor": "lockstep"}
    content = ANSWERS[plain.get(name, name)]
    assert np.array_equal(SIDES[name].read(json.dumps(content).encode()), CHANCES)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("lockstep", {"rows": ROWS}),
        ("mlflow", {"dataframe_split": {"columns": ["size", "note"], "data": [[1.5, "so so"], [2.0, "good"]]}}),
        (
            "mlserver",
            {
                "inputs": [
                    {"name": "size", "shape": [2, 1], "datatype": "FP64", "data": [1.5, 2.0]},
                    {
                        "name": "note",
                        "shape": [2, 1],
                        "datatype": "BYTES",
                        "parameters": {"content_type": "str"},
                        "data": ["so so", "good"],
                    },
                ]
            },
        ),
    ],
)
def test_rows_are_written_as_each_side_reads_them(name, written):
    assert json.loads(SIDES[name].encode(ROWS)) == written


@pytest.mark.parametrize("changed", [("id", ""), ("prediction", "no")])
def test_an_answer_of_ours_needs_an_id_and_the_likeliest_label(changed):
    with pytest.raises(ValueError, match="likeliest"):
        SIDES["lockstep"].read(json.dumps(ours(changed)).encode())


def test_the_floor_answers_as_ours_does():
    assert SIDES["floor"].read(ANSWER).shape == (1, 1)
