import json

import pytest

from benchmarks.serving import plot, report
from benchmarks.serving.environments import ROOT
from benchmarks.serving.figures import BATCH, Sample
from benchmarks.serving.report import Results
from benchmarks.serving.rounds import Settings, Start

SETTINGS = Settings(connections=(1, 16), rounds=2, seconds=1, warm_s=0, port=7000)
SPEEDS = {"lockstep": 4000, "mlflow": 100, "mlflow-uvloop": 200, "floor": 10000}


def results(**faults):
    samples = [
        Sample("tabular", side, load, number, speed, 1.0, 0.5, 0.1, faults.get(side, 0), 0, 0, (1000 / speed,) * 10)
        for side, speed in SPEEDS.items()
        for load in ("1", "16", BATCH)
        for number in range(2)
        if (side, load) != ("floor", BATCH)
    ]
    starts = [Start("tabular", "lockstep", 2.0, 300, 400, 3), Start("tabular", "bentoml", failed="ended with 1")]
    return Results(SETTINGS, samples, starts, notes=["reviews: a stand-in"])


@pytest.fixture
def made():
    return report.blocks(results())


@pytest.mark.parametrize(
    "line",
    [
        "| tabular: requests/s, ours / theirs, mlflow models serve | 16 conn. | 30 x | 40.0 x | 20.0 x MISSED |",
        "| tabular: p99, theirs / ours, mlflow models serve | 1 conn. | 10 x | 40.0 x | 20.0 x |",
        "| tabular: requests/s, ours / theirs, floor: no model | 1 conn. | 0.33 x | 0.40 x |  |",
        "| tabular: requests/s, ours / theirs, mlflow models serve | batches | 5 x | 40.0 x | 20.0 x |",
        "| tabular: start to first answer |  | <= 5 s | 2.0 s |  |",
    ],
)
def test_targets_say_what_is_met_beside_the_plain_and_the_tuned_side(made, line):
    assert line in made["targets"].splitlines()


@pytest.mark.parametrize("name", ["targets", "speed", "batches", "starts", "client"])
def test_tables_are_rectangular(made, name):
    lines = [line for line in made[name].splitlines() if line.startswith("|")]
    assert len(lines) > 2
    assert len({line.count("|") for line in lines}) == 1


def test_faults_and_notes_stand_with_the_conditions():
    bad = results(mlflow=2)
    assert "tabular, bentoml: ended with 1" in bad.faults
    assert "tabular, mlflow, 16: 4 answers wrong, refused or lost" in bad.faults
    conditions = report.blocks(bad)["conditions"]
    assert "a stand-in" in conditions
    assert "4 answers wrong" in conditions


def test_the_page_has_a_place_for_every_part(made):
    page = (ROOT / "docs" / "measurements" / "serving.md").read_text(encoding="utf-8")
    filled = report.fill(page, made)
    assert all(part in filled for part in made.values())
    assert report.fill(filled, made) == filled


def test_the_json_holds_rounds_and_summaries():
    content = json.loads(json.dumps(report.as_json(results())))
    assert len(content["rounds"]) == len(content["summaries"]) * 2
    assert "latencies_ms" not in content["rounds"][0]


def test_the_plot_is_drawn(tmp_path):
    place = tmp_path / "images" / "plot.png"
    plot.draw(results().summaries, SETTINGS.connections, place)
    assert place.read_bytes().startswith(b"\x89PNG")
