"""Copies of the capstone project, read by `lockstep migrate`, trained, promoted and served."""

import json
import random
import urllib.request

import pytest

from tests.lockstep.autoconfig import capstones
from tests.pipeline.project import copy_project
from tests.serving.load import ask
from tests.serving.real import Server, wait_for

pytestmark = [pytest.mark.pipeline, pytest.mark.long("runs the pipeline for three migrated copies")]
GOOD, BAD = ["lovely", "brilliant", "warm", "funny", "touching"], ["dull", "awful", "slow", "clumsy", "boring"]


def reviews():
    """Return a table of reviews of three labels, of which the copies keep two."""
    draw, lines = random.Random(3), ["review,sentiment"]
    for index in range(400):
        label = "neutral" if index % 9 == 0 else draw.choice(["positive", "negative"])
        words = draw.choices(BAD if label == "negative" else GOOD, k=3) + draw.choices([*GOOD, *BAD, "film"], k=4)
        lines.append(f"{' '.join(words)} {index},{label}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("kind", [capstones.by_address, capstones.by_bucket, capstones.by_file])
def test_a_migrated_copy_trains_and_answers_as_its_clients_know(tmp_path, kind):
    project = copy_project(tmp_path / "project")
    copy = capstones.write(tmp_path / "Capstone", kind() | {"notebooks/data.csv": reviews()})
    project.lockstep("migrate", str(copy), "--source", str(copy / "notebooks/data.csv"), "--force")
    project.repro()
    metrics = json.loads(project.read("reports/metrics.json"))
    assert metrics["accuracy"] > 0.7
    assert json.loads(project.read("reports/data.json"))["dropped"]["rows_quarantined"] == 45, "those of other labels"
    project.lockstep("promote")
    path = {name: project.environment[name] for name in ("PYTHONPATH", "PATH")}
    state = {"LOCKSTEP_STATE": str(project.root / ".lockstep")}
    server = Server(project.root, "", workers=1, **state, **path).start(within_s=120)
    try:
        status, _, answer = ask(server.port, "POST", "/predict", {"rows": [{"review": "lovely warm brilliant film"}]})
        assert (status, answer["predictions"][0]["prediction"]) == (200, "1")
        counted = 'model_prediction_count_total{model="my_model",prediction="1",version="1"} 1.0'
        wait_for(lambda: counted in urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics").read().decode())
    finally:
        server.stop()
