"""A search killed by the system, at whatever it does, ends the next time with the bytes of an undisturbed one."""

import collections
import json
import os
import random
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.impute import SimpleImputer

from lockstep import files, paths
from lockstep.config import params_file
from lockstep.modeling import serialization
from tests.root import EXAMPLE, ROOT

SOURCE = ROOT
RANDOM = np.random.default_rng(6)
MATRIX = RANDOM.normal(size=(400, 6))
TARGET = (MATRIX[:, 0] + MATRIX[:, 1] ** 2 + RANDOM.normal(size=400) > 1).astype(np.int64)
SECTION = {
    "candidates": [
        {"estimator": "random_forest", "params": {"n_estimators": 12}, "space": {"min_samples_leaf": [1, 2, 3, 5, 8]}},
        {"estimator": "logistic_regression"},
    ],
    "search": {"method": "halving", "trials": 6, "factor": 2},
    "folds": 3,
}


def project(folder):
    """A folder with what the stage reads, and params.yaml of the example with another search."""
    whole = params_file.load(EXAMPLE).model_dump(mode="json", exclude_unset=True)
    files.write_bytes(json.dumps(whole | {"model_building": SECTION}).encode(), folder / paths.PARAMS)
    serialization.save_matrix(MATRIX, TARGET, folder / paths.TRAIN_MATRIX)
    serialization.save(SimpleImputer().fit(MATRIX), folder / paths.FEATURES)
    files.write_json({"task": "binary"}, folder / paths.SCHEMA)
    return folder


def start(folder):
    environment = os.environ | {"PYTHONPATH": str(SOURCE / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SOURCE / "src" / "model_building.py")]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def finished(folder):
    """Return the pieces that the checkpoint holds whole, each as often as it was done."""
    lines = [line for path in folder.glob(f"{paths.SEARCHES}/*/pieces.jsonl") for line in path.read_text().split("\n")]
    return [json.loads(line.split(" ", 1)[1])["piece"] for line in lines if line.endswith("}")]


def killed(folder, after, wait_s):
    """Run the stage until so many more pieces are finished, and a moment longer; tell whether it still ran."""
    enough = len(finished(folder)) + after
    process = start(folder)
    end = time.monotonic() + 120
    while process.poll() is None and len(finished(folder)) < enough and time.monotonic() < end:
        time.sleep(0.005)
    time.sleep(wait_s)
    still = process.poll() is None
    process.kill()
    process.communicate()
    return still


def ended(folder):
    process = start(folder)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said, [(folder / path).read_bytes() for path in (paths.MODEL, paths.SEARCH)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = project(tmp_path_factory.mktemp("undisturbed"))
    return ended(folder)[1], finished(folder)


@pytest.mark.long("kills a search again and again")
def test_B49_a_killed_search_ends_with_the_same_bytes(tmp_path, undisturbed, request):
    moments = random.Random(7)
    times = 8 if request.config.getoption("long") else 1
    folder = project(tmp_path)
    waits = [moments.uniform(0, 0.15) for _ in range(times)]
    alive = [killed(folder, 3, wait_s) for wait_s in waits]
    assert alive[0]
    done = finished(folder)
    said, content = ended(folder)
    assert content == undisturbed[0]
    assert f"{len(done)} of" in said
    assert "were done before and are not repeated" in said
    assert max(collections.Counter(finished(folder)).values()) == 1
    assert sorted(finished(folder)) == sorted(undisturbed[1])
