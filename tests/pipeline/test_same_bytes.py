"""One dvc.lock on every x86-64-v3: natively, whatever the environment names, and emulated as other processors."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from lockstep import numeric_pins
from tests.pipeline.kernels import MACHINES, digests
from tests.pipeline.project import DATA, copy_project
from tests.pipeline.test_equality import part_of
from tests.root import ROOT

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(bool(numeric_pins.lacking()), reason=f"NOT TESTED: {numeric_pins.lacking()}"),
]

EXAMPLES = {"breast-cancer": None, "sentiment": ROOT / "examples/reviews.csv", "housing": DATA / "housing.csv"}
HOUSING_ROWS = 2_000
EMULATED = ("Haswell", "EPYC")
LONG = pytest.mark.long("runs the pipeline for one more processor")
SORT = "from sklearn.datasets import load_breast_cancer as load; load().data.argsort(axis=0)"


@pytest.fixture(scope="module", params=EXAMPLES)
def example(request, tmp_path_factory):
    """A project with a ready example: numbers by default, text and trees with --long."""
    name, source, folder = request.param, EXAMPLES[request.param], tmp_path_factory.mktemp("bytes")
    if source and not request.config.getoption("long"):
        pytest.skip(f"--long runs {name}")
    project = copy_project(folder / "project")
    if name == "housing":
        source = part_of(source, HOUSING_ROWS, folder) if source.is_file() else write_houses(folder / source.name)
    project.lockstep("use", name, "--force", *(["--source", str(source)] if source else []))
    params = re.sub(r"trials: \d+", "trials: 3", project.read("params.yaml"))
    params = re.sub(r"max_iter: \d+", "max_iter: 60", params)
    params = re.sub(r"jobs: \d+", "jobs: 1", params)  # an emulator does not follow into child processes
    (project.root / "params.yaml").write_text(params)
    return project


def write_houses(path):
    """Write made-up rows for the example housing, where its data is not in ../shared/data."""
    random = np.random.default_rng(0)
    income, age = random.gamma(4, 1, HOUSING_ROWS).round(4), random.integers(1, 53, HOUSING_ROWS)
    rooms = np.where(random.random(HOUSING_ROWS) < 0.02, np.nan, random.integers(2, 6_000, HOUSING_ROWS))
    region = random.choice(["INLAND", "NEAR BAY", "<1H OCEAN"], HOUSING_ROWS)
    value = 40_000 * income + 500 * age + 30_000 * (region != "INLAND") + random.normal(0, 20_000, HOUSING_ROWS)
    columns = {"median_income": income, "housing_median_age": age, "total_rooms": rooms, "ocean_proximity": region}
    pd.DataFrame(columns | {"median_house_value": value.round(-2)}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def expected(example):
    return digests(example, MACHINES["unset"])


@pytest.mark.parametrize(
    "machine",
    [pytest.param(name, marks=() if name == "Haswell" else LONG) for name in MACHINES if name != "unset"],
)
def test_the_environment_changes_no_byte(example, expected, machine):
    assert digests(example, MACHINES[machine]) == expected


@pytest.fixture(scope="module")
def emulator(request):
    """The command of an emulator that gets through numpy's AVX2 sort, which ends qemu 7.2 by SIGSEGV."""
    if not request.config.getoption("long"):
        pytest.skip("--long emulates other processors")
    command = shutil.which("qemu-x86_64")
    if not command:
        pytest.skip("NOT TESTED: qemu-x86_64 is not installed (package qemu-user)")
    sorts = subprocess.run([command, "-cpu", "Haswell", sys.executable, "-c", SORT], capture_output=True)
    if sorts.returncode:
        pytest.skip(f"NOT TESTED: {command} does not emulate AVX2 well enough; version 10 does")
    return command


@pytest.mark.parametrize("processor", EMULATED)
def test_another_processor_writes_the_same_bytes(emulator, example, expected, processor):
    assert digests(example, {}, emulator, "-cpu", processor) == expected
