"""What the checks of a project share: its params, its reports, its test rows and the app that serves its model."""

import contextlib
import os
from pathlib import Path

import pytest

from lockstep import files
from lockstep.config import params_file, use_cases
from lockstep.config.params import Params
from tests_project import answers
from tests_project.hint import RUN_FIRST

ROOT = Path(__file__).resolve().parents[1]
OWN_VARIABLES = ("MLFLOW_", "DAGSHUB_", "LOCKSTEP_", "CAPSTONE_", "DATABASE_", "REDIS_")


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the pipeline again and compare every output")


@pytest.fixture(scope="session", autouse=True)
def own_environment():
    """Leave out what the environment says of servers: the checks are those of this folder."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(OWN_VARIABLES)]:
            patch.delenv(name)
        patch.chdir(ROOT)
        yield


@pytest.fixture(scope="session", params=use_cases.folders(ROOT), ids=lambda folder: use_cases.name_of(folder) or "root")
def folder(own_environment, request):
    """The folder of each model of the project, as the current one."""
    with contextlib.chdir(request.param):
        yield request.param


@pytest.fixture(scope="session")
def params(folder) -> Params:
    return params_file.load(folder / "params.yaml")


@pytest.fixture(scope="session")
def results(folder):
    """Return a function that gives the path of a result of the pipeline, or fails with what to do."""

    def path_of(name):
        path = folder / name
        if not path.exists():
            pytest.fail(f"{name} is not there: {RUN_FIRST}", pytrace=False)
        return path

    return path_of


@pytest.fixture(scope="session")
def report(results):
    """Return a function that reads a JSON record of the pipeline."""
    return lambda name: files.read_json(results(name))


@pytest.fixture(scope="session")
def client(folder, params, results, tmp_path_factory):
    """A client of the app that serves models/ as an image does."""
    for name in ("models/schema.json", "models/model.skops", "models/smoke.json", "models/registered.json"):
        results(name)
    client = answers.client_of(folder, params.register_model.model_name, tmp_path_factory.mktemp("state"))
    state = client.get("/readyz")
    if state.status_code != 200:
        pytest.fail(f"the app cannot serve models/: {state.text.strip()}; {RUN_FIRST}", pytrace=False)
    return client


@pytest.fixture(scope="session")
def rows(folder, results):
    """The test rows as a program would send them."""
    results("models/schema.json"), results("data/interim/test.parquet")
    return answers.rows_of(folder)


@pytest.fixture(scope="session")
def recorded(folder, results):
    """The labels of the probabilities, and what the evaluation recorded for each row."""
    results("reports/predictions.csv")
    return answers.recorded(folder)
