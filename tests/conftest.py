import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from lockstep.config.settings import Settings
from lockstep.registry import tracking
from tests import ops, user_files
from tests.lockstep import dagshub_like as fake

OWN = ("MLFLOW_", "DAGSHUB_", "LOCKSTEP_", "CAPSTONE_TEST")


user_files.install()


def pytest_collection_modifyitems(config, items):
    """Skip what costs minutes unless --long runs it, and put the other tests in the order in which they end soonest."""
    for item in items if not config.getoption("long") else ():
        if mark := item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason=f"--long {mark.args[0]}"))
    items[:] = spread(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def spread(items, workers):
    """Return the tests in the order in which that many workers end soonest.

    pytest-xdist gives each worker an equal run of neighbours, and who is done steals from the end of another's. So each
    run begins with files of slow tests, undivided for the sake of their fixtures, and ends with what is quick to steal.
    """
    slow = [item for item in items if any(map(item.get_closest_marker, ("pipeline", "server")))]
    quick = [item for item in items if not any(map(item.get_closest_marker, ("pipeline", "server")))]
    files = [list(group) for _, group in itertools.groupby(slow, key=lambda item: item.path)]
    shares = [list(itertools.chain(*files[worker::workers])) for worker in range(workers)]
    for share in shares:
        missing = max(0, len(items) // workers - len(share))
        share += quick[:missing]
        del quick[:missing]
    return [*itertools.chain(*shares), *quick]


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also run the tests that cost minutes, and longer faults")
    parser.addoption("--openapi-cases", type=int, default=150, help="how many requests Schemathesis makes up, at least")
    parser.addoption("--fuzz-runs", type=int, default=4000, help="how many requests the fuzzer makes up")
    parser.addoption("--clients", action="store_true", help="make environments for clients that need their own")
    parser.addoption("--image", action="store_true", help="build the image and run the stack: make test-image")
    parser.addoption("--all-rows", action="store_true", help="ask the form about every test row of the large data sets")


@pytest.fixture(scope="session")
def template_store(tmp_path_factory):
    """A migrated, empty database to copy, since the migrations cost seconds."""
    folder = tmp_path_factory.mktemp("template")
    tracking.connect(Settings.read({"LOCKSTEP_STATE": str(folder)}))
    return folder / "mlflow.db"


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory, template_store):
    """A real `mlflow server` in a process of its own, which proxies artifacts."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copyfile(template_store, folder / "mlflow.db")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--serve-artifacts"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(OWN)} | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # seven processes that only its evaluations and prompts use
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True)
    try:
        _wait_until_healthy(f"http://127.0.0.1:{port}", process, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_healthy(address, process, log, timeout_s=60):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            with opener.open(f"{address}/health", timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"no answer within {timeout_s} s: {log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def aws_address(tmp_path_factory):
    """The address of an AWS on this machine, from the tools of `make setup-ops`."""
    with ops.moto(tmp_path_factory.mktemp("moto")) as address:
        yield address


@pytest.fixture
def dagshub_like(mlflow_server):
    """Start a server that refuses what DagsHub refuses, and the path prefixes given."""
    opened = []

    def start(*refused):
        handler = fake.proxy(mlflow_server, *refused)
        opened.append(fake.serving(handler))
        return opened[-1].__enter__(), handler

    yield start
    for serving in opened:
        serving.__exit__(None, None, None)
