import contextlib
import json
import os
import subprocess

import psutil
import pytest

from tests.flask_app.standins import make_bundle
from tests.life.served import Served
from tests.pipeline.prepared import finished  # noqa: F401 - a fixture
from tests.pipeline.project import copy_of
from tests.postgres import postgres, program  # noqa: F401 - one is a fixture
from tests.serving.real import Server, copy_store

START_S = 90.0
"""A start takes 2 to 3 s; a machine that does much else takes its time."""


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    return make_bundle("binary", tmp_path_factory.mktemp("bundle") / "bundle")


@pytest.fixture
def make(tmp_path, bundle, template_store):
    """Return a function that gives servers with a bundled model and an empty registry, all gone at the end."""
    servers = []

    def act(folder=None, log=None, **options):
        folder = folder or tmp_path / "server"
        folder.mkdir(exist_ok=True)
        store = folder / "state" / "mlflow.db"
        if not store.exists():
            copy_store(template_store, folder)
        options = {"LOCKSTEP_BAKED_MODEL": str(bundle), "LOCKSTEP_DRAIN_S": "0", "workers": 1} | options
        servers.append(Server(folder, **options))
        servers[-1].log = log or servers[-1].log
        return servers[-1]

    yield act
    for server in servers:
        if server.process:
            server.kill()


@pytest.fixture
def orphans(tmp_path):
    """Return a function that gives the processes whose environment names this test's folder."""

    def living():
        return [process for process in psutil.process_iter() if str(tmp_path) in environment_of(process)]

    yield living
    for process in living():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.fixture
def disk(tmp_path):
    """A disk of 96 MiB, or a folder where nobody may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True).returncode == 0
    yield folder, mounted
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def served(disk, tmp_path, request):
    folder, mounted = disk
    project = copy_of(request.getfixturevalue("finished"), folder / "project")
    database = request.getfixturevalue("postgres") if program("postgres") else None
    served = Served(project, tmp_path / "serve.log", folder if mounted else None, database)
    yield served
    for name in list(served.ending):
        served.end(name)
    if served.server.process.poll() is None:
        served.server.kill()


def environment_of(process):
    """Return the state folder and the working directory of a process, nothing of one that is gone."""
    with contextlib.suppress(psutil.Error, OSError):
        if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
            return f"{process.environ().get('LOCKSTEP_STATE', '')} {process.cwd()}"
    return ""


def rows_of(bundle):
    return json.loads((bundle / "smoke.json").read_text())["rows"][:2]
