import argparse
import json
import shutil
import subprocess

import pytest
import yaml

from lockstep.commands import migrate
from lockstep.config import params_file
from lockstep.config.settings import Settings
from lockstep.errors import ConfigError
from tests import ops
from tests.lockstep.autoconfig import capstones
from tests.root import EXAMPLE, ROOT

DATA = ("--source", "s3://films/data.csv")
COPIES = {"address": capstones.by_address, "bucket": capstones.by_bucket, "file": capstones.by_file}
ROWS = "review,sentiment\n" + "".join(f"{'good' if i % 2 else 'bad'} film {i},positive\n" for i in range(30))


def run(*words):
    parser = argparse.ArgumentParser()
    migrate.add(parser)
    return migrate.run(parser.parse_args(words), Settings.read({}))


@pytest.fixture
def copy(tmp_path):
    """Write one of the copies, and return its folder."""
    return lambda name: str(capstones.write(tmp_path / "Capstone", COPIES[name]() | {"notebooks/data.csv": ROWS}))


@pytest.fixture
def cluster(project):
    """A project with manifests."""
    shutil.copytree(ROOT / "k8s", project / "k8s")
    return project


@pytest.mark.parametrize("name", COPIES)
def test_params_are_written_that_the_pipeline_reads(project, copy, capsys, name):
    assert run(copy(name), *DATA) == 0
    params = params_file.load()
    assert params.data_ingestion.reader.columns["sentiment"].spellings == {"positive": "1", "negative": "0"}
    assert params.data_preprocessing.positive == "1"
    assert params.data_preprocessing.contract.columns["sentiment"].categories == ("1", "0")
    assert params.feature_engineering.text.max_terms in (20, 100)
    assert (project / "params.yaml.bak").read_bytes() == EXAMPLE.read_bytes()
    told = capsys.readouterr().out
    assert told.index("k8s/base/namespace.yaml") < told.index("scripts/secret"), "a Secret needs its namespace"
    assert "\nnot taken:\n" in told


def test_its_file_comes_along(project, copy, capsys):
    assert run(copy("file")) == 0
    assert params_file.load().data_ingestion.source == "data/external/data.csv"
    assert (project / "data/external/data.csv").read_text() == ROWS


def test_another_source_stands_in(project, copy, tmp_path, capsys):
    (tmp_path / "mine.csv").write_text(ROWS)
    assert run(copy("bucket"), "--source", str(tmp_path / "mine.csv")) == 0
    assert params_file.load().data_ingestion.source == "data/external/mine.csv"


def test_a_token_of_another_name_is_passed_on(project, copy, capsys):
    run(copy("bucket"), *DATA)
    assert "export DAGSHUB_USER_TOKEN=$(printenv FILM_TOKEN)" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "port", "replicas"), [("address", 5000, 2), ("bucket", 8080, 1)])
def test_the_overlay_keeps_the_port_and_fits_the_cluster(cluster, copy, capsys, name, port, replicas):
    assert run(copy(name), *DATA) == 0
    kubectl = ops.program("kubectl", "https://kubernetes.io/docs/tasks/tools")
    overlay = cluster.resolve() / "k8s/overlays/capstone"
    done = subprocess.run([kubectl, "kustomize", overlay], capture_output=True, text=True, check=True)
    objects = {
        (each["kind"], each["metadata"]["name"].split("-config-")[0]): each for each in yaml.safe_load_all(done.stdout)
    }
    assert objects["Service", "flask-app-service"]["spec"]["type"] == "LoadBalancer"
    (ports,) = objects["Service", "flask-app-service"]["spec"]["ports"]
    assert (ports["port"], ports["targetPort"]) == (port, "http")
    assert objects["HorizontalPodAutoscaler", "flask-app"]["spec"]["minReplicas"] == replicas
    settings = objects["ConfigMap", "flask-app"]["data"]
    assert (settings["LOCKSTEP_MODEL_NAME"], settings["DAGSHUB_REPO"]) == ("my_model", "someone/capstone")
    assert settings["PORT"] == "5000"
    assert settings["LOCKSTEP_WORKERS"] == str(replicas)


def test_a_program_gets_json(cluster, copy, capsys):
    assert run(copy("address"), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["written"] == ["params.yaml", "k8s/overlays/capstone/kustomization.yaml"]
    assert (told["port"], told["token"]) == (5000, "CAPSTONE_TEST")
    assert {"about", "why"} <= set(told["not_taken"][0])


def test_edits_are_kept(project, copy, capsys):
    run(copy("address"))
    with pytest.raises(ConfigError, match="would be replaced"):
        run(copy("address"))
    assert run(copy("address"), "--force") == 0


def test_nothing_is_written_for_what_params_refuse(cluster, copy):
    files = capstones.by_address() | {"flask_app/app.py": "model_name = 'two words'\n"}
    folder = capstones.write(cluster.parent / "odd", files)
    before = (cluster / "params.yaml").read_bytes()
    with pytest.raises(ConfigError, match="model_name"):
        run(str(folder))
    assert (cluster / "params.yaml").read_bytes() == before
    assert not (cluster / "k8s/overlays/capstone").exists()
    assert not (cluster / "params.yaml.bak").exists()


@pytest.mark.parametrize("path", ["nowhere", "params.yaml"])
def test_what_is_no_copy_is_said(project, path):
    with pytest.raises(ConfigError, match="is no copy of the capstone project"):
        run(str(project / path))
