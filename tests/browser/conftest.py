"""A browser, a server that serves a small model to it, and axe to judge the pages."""

import shutil
import subprocess
import threading
import time
from contextlib import contextmanager

import msgspec
import pytest
from werkzeug.serving import make_server

from flask_app import create_app
from flask_app.models import model_service
from lockstep.config.settings import Settings
from tests.browser import chromium
from tests.flask_app.standins import FolderRegistry, make_bundle
from tests.lockstep import example_snapshot

AXE = "axe-core@4.11.0"
NPM = (
    *("npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"),
    *("--fetch-timeout=20000", "--fetch-retries=0"),
)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A Chromium."""
    if chromium.program() is None:
        pytest.skip("no Chromium is installed: the pages are NOT tried in a browser here")
    opened = chromium.Chromium(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def axe(pytestconfig):
    """The script of axe-core, fetched with npm once."""
    folder = pytestconfig.cache.mkdir("axe")
    script = folder / "node_modules/axe-core/axe.min.js"
    if not script.is_file():
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed: the pages are NOT judged by axe here")
        if subprocess.run([*NPM, "--prefix", folder, AXE], check=False).returncode:
            pytest.skip(f"npm cannot fetch {AXE}: the pages are NOT judged by axe here")
    return script.read_text(encoding="utf-8")


def keep(state, snapshot):
    """Put a snapshot where the recorder of a server would."""
    (state / "new.json").write_bytes(msgspec.json.encode(snapshot))
    (state / "new.json").rename(state / "monitoring.json")


@pytest.fixture(scope="session")
def figures(tmp_path_factory):
    """The folder in which the app keeps its state."""
    folder = tmp_path_factory.mktemp("state")
    keep(folder, example_snapshot.snapshot(time.time()))
    return folder


@contextmanager
def listening(bundle, figures):
    """Let an app serve a model; gives its address."""
    registry = FolderRegistry()
    registry.add("1", bundle)
    settings = Settings.read({"LOCKSTEP_MODEL_NAME": "demo", "LOCKSTEP_STATE": str(figures), "LOCKSTEP_MONITOR_S": "1"})
    app = create_app(settings, registry.connect)
    model_service.default(app).look()
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def address(tmp_path_factory, figures):
    """Where an app listens that serves a model of numbers, a category and a date."""
    with listening(make_bundle("multiclass", tmp_path_factory.mktemp("app") / "model"), figures) as address:
        yield address


@pytest.fixture(scope="session")
def readers(tmp_path_factory):
    """Where an app listens that serves a model of texts."""
    folder = tmp_path_factory.mktemp("readers")
    with listening(make_bundle("text", folder / "model"), folder) as address:
        yield address


@pytest.fixture(scope="session")
def trees(tmp_path_factory):
    """Where an app listens that serves trees."""
    folder = tmp_path_factory.mktemp("trees")
    with listening(make_bundle("regression", folder / "model", "decision_tree"), folder) as address:
        yield address
