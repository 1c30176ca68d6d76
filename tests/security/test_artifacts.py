"""FAULTS (d): a registry that was broken into runs nothing here, and a source is a file and no address."""

import os
import shutil
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from flask_app.models.model_service import ModelService
from lockstep.config.params import DataIngestion
from lockstep.config.settings import Settings
from lockstep.data.sources import read
from lockstep.errors import DataError
from lockstep.registry.bundle import BUNDLE, OPTIONAL
from tests.flask_app.standins import example
from tests.serving.real import Store

CANARY = "planted_by_a_registry"
PLANTED = f"import pathlib; pathlib.Path(__file__).with_name('canary').touch(); {CANARY} = True\n"


@pytest.fixture
def store(tmp_path, template_store, bundles, monkeypatch):
    """A local registry with one version in Production."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    settings = Settings.read({"LOCKSTEP_STATE": str(tmp_path / "state"), "LOCKSTEP_MODEL_NAME": "demo"})
    (tmp_path / "state").mkdir()
    shutil.copyfile(template_store, tmp_path / "state" / "mlflow.db")
    made = Store(settings, "demo")
    made.promote(made.register(bundles["binary"]))
    return made


def planted(store):
    """Let the version in Production name a loader and code of its own, as MLflow would run them; return its folder."""
    folder = Path(urlsplit(store.registry.production().source).path)
    pyfunc = {"loader_module": CANARY, "code": "code", "model_path": "model.skops"}
    sklearn = {"pickled_model": "model.skops", "serialization_format": "cloudpickle", "code": "code"}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": pyfunc, "sklearn": sklearn}}))
    (folder / "code").mkdir()
    for place in (folder / "code" / f"{CANARY}.py", folder / f"{CANARY}.py", folder / "sitecustomize.py"):
        place.write_text(PLANTED)
    (folder / "requirements.txt").write_text("../../planted\n")
    return folder


def test_S13_what_MLmodel_names_is_neither_fetched_nor_run(store, tmp_path):
    folder = planted(store)
    assert (folder / "code" / f"{CANARY}.py").exists()
    service = ModelService.from_settings(store.settings, lambda: store.registry)
    service.look()
    assert (service.fault, service.require().version) == (None, "1")
    (cached,) = [path for path in (tmp_path / "state" / "models").iterdir() if path.is_dir()]
    assert {path.name for path in cached.iterdir() if not path.name.startswith("compiled")} == {*BUNDLE, *OPTIONAL}
    assert CANARY not in sys.modules
    assert not list(tmp_path.rglob("canary"))


def test_S14_files_that_are_not_those_of_the_digest_are_refused(store, bundles):
    folder = Path(urlsplit(store.registry.production().source).path)
    shutil.copyfile(bundles["tree"] / "model.skops", folder / "model.skops")
    service = ModelService.from_settings(store.settings, lambda: store.registry)
    service.look()
    assert service.serving() is None
    assert "digest" in service.fault


ADDRESSES = [
    "http://169.254.169.254/latest/meta-data/iam",
    "https://localhost/rows.csv",
    "http://127.0.0.1:9/rows.csv",
    "http://[::1]/rows.csv",
    "http://0x7f.1/rows.csv",
    "http://2130706433/rows.csv",
    "http://localtest.me/rows.csv",
    "HTTP://EXAMPLE.COM/rows.csv.gz",
    "ftp://localhost/rows.csv",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "s3://bucket/rows.csv",
    "jar:file:///etc/passwd!/rows.csv",
    "data:text/csv,a,b",
]


LOOK_UP = socket.getaddrinfo


@pytest.fixture
def network(monkeypatch):
    """Every connection that is tried, and none that is made."""
    tried = []

    def refuse(*given):
        tried.append(given)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tried


@pytest.mark.parametrize("address", [address for address in ADDRESSES if not address.startswith("s3:")])
@pytest.mark.parametrize("kind", ["auto", "csv", "parquet"])
def test_S20_no_private_address_is_a_source(tmp_path, monkeypatch, network, address, kind):
    """Here, the name server leads every name to this machine."""
    real = LOOK_UP
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, *_, **__: real("127.0.0.1", port))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"not found|is not read|leads to 127\.0\.0\.1|leads to http://"):
        read.read(DataIngestion(source=address, format=kind))
    assert network == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433", "169.254.169.254"])
def test_S20_no_spelling_of_a_private_address_is_a_source(tmp_path, monkeypatch, host):
    monkeypatch.chdir(tmp_path)
    tried = []
    monkeypatch.setattr(socket.socket, "connect", lambda *given: tried.append(given))
    with pytest.raises(DataError, match="which is not a public address"):
        read.read(DataIngestion(source=f"https://{host}/rows.csv"))
    assert tried == []


@pytest.mark.parametrize("address", ADDRESSES)
def test_S20_the_app_follows_no_address(app, network, address):
    client = app.test_client()
    row = example(app)
    bodies = [{"rows": address}, {"rows": [address]}, {"url": address}, {"rows": [row], "url": address}]
    bodies += [{"rows": [{**row, "place": address}]}, {"rows": [row], "version": address}]
    for where in ("/predict", "/invocations", "/inference", "/v2/models/demo/infer"):
        for body in bodies:
            assert 400 <= client.post(where, json=body).status_code < 500
    for where in (f"/?url={address}", f"/predict?next={address}", f"/health?callback={address}"):
        assert address not in client.get(where).headers.get("Location", "")
    assert network == []
