import importlib
import inspect
import re
from importlib.metadata import version

import pytest
import sqlalchemy
from joblib import Parallel, delayed
from packaging.requirements import Requirement
from packaging.version import Version
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from lockstep import compat
from lockstep.registry import tracking
from tests.root import ROOT

PINNED = ("granian", "mlflow", "mlflow-skinny", "prometheus-client", "scikit-learn", "skops")
"""The packages whose private names are used."""


@pytest.mark.parametrize("package", PINNED)
def test_a_package_of_private_names_has_a_ceiling_that_the_installed_version_keeps(package):
    (declared,) = re.findall(rf'"({package}>=.*?)"', (ROOT / "setup.py").read_text(encoding="utf-8"))
    requirement = Requirement(declared)
    ceiling = next(each.version for each in requirement.specifier if each.operator == "<")
    assert Version(version(package)) < Version(ceiling)


@pytest.mark.parametrize("name", compat.GRANIAN_HOOKS)
def test_the_server_of_granian_has_the_methods_that_the_supervisor_overrides(name):
    from granian.server.mp import MPServer

    assert str(inspect.signature(getattr(MPServer, name))) == compat.GRANIAN_HOOKS[name]


def test_the_server_of_granian_has_the_state_that_the_supervisor_uses():
    from granian.server.mp import MPServer

    state = vars(MPServer("app:app"))
    assert set(compat.GRANIAN_STATE) <= set(state)
    assert state["wrks"] == state["interrupt_children"] == []
    assert state["interrupt_signal"] is False and not state["main_loop_interrupt"].is_set()


@pytest.mark.parametrize("module", compat.SAVED_TYPES)
def test_the_classes_that_saved_models_name_are_where_they_were(module):
    names = compat.SAVED_TYPES[module].split()
    found = {name: getattr(importlib.import_module(module), name) for name in names}
    assert {name: inspect.isclass(kind) for name, kind in found.items()} == dict.fromkeys(names, True)


def test_skops_has_the_loaders_that_saved_models_name():
    from skops.io._audit import NODE_TYPE_MAPPING

    assert {name for name, _ in NODE_TYPE_MAPPING} >= compat.SKOPS_LOADERS


def test_mlflow_creates_the_tables_of_an_empty_database(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with tracking.third_party_warnings():
        compat.create_mlflow_tables(uri)
    engine = sqlalchemy.create_engine(uri)
    assert {"experiments", "runs", "model_versions", "alembic_version"} <= set(
        sqlalchemy.inspect(engine).get_table_names()
    )
    engine.dispose()


def test_mlflow_answers_one_plain_request(mlflow_server):
    answer = compat.mlflow_post(mlflow_server, "/api/2.0/mlflow/experiments/search", {"max_results": 1}, 10)
    assert answer.status_code == 200 and len(answer.json()["experiments"]) == 1
    assert compat.mlflow_post(mlflow_server, "/api/2.0/mlflow/nothing", {}, 10).status_code == 404


def test_mlflow_moves_a_version_without_looking_for_its_model(mlflow_server):
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    transition = compat.stage_transition(MlflowClient(mlflow_server, mlflow_server))
    with pytest.raises(MlflowException, match=r"not found|RESOURCE_DOES_NOT_EXIST"):
        transition("nothing", "1", "Production", archive_existing_versions=False)


def test_many_observations_count_as_they_would_one_by_one():
    registries = CollectorRegistry(), CollectorRegistry()
    one, many = (Histogram("h", "help", buckets=(0.1, 0.5, 1.0), registry=each) for each in registries)
    for value in (0.05, 0.3, 0.3, 7.0):
        one.observe(value)
    compat.observe_many(many, 7.65, {0: 1, 1: 2, 3: 1})
    texts = [re.sub(r"h_created .*", "", generate_latest(each).decode()) for each in registries]
    assert texts[0] == texts[1] and 'h_bucket{le="0.5"} 3.0' in texts[0]


def test_metrics_are_described_as_they_are_exposed():
    registry = CollectorRegistry()
    metrics = Counter("rows", "Rows.", ["kind"], registry=registry), Gauge("load", "Load.", registry=registry)
    assert [compat.describe_metric(each) for each in metrics] == [
        ("rows_total", "counter", ("kind",), "Rows."),
        ("load", "gauge", (), "Load."),
    ]


def _die():
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


def test_joblib_says_that_a_worker_was_killed():
    with pytest.raises(compat.worker_death()):
        Parallel(n_jobs=2)(delayed(_die)() for _ in range(2))
