"""What tests of the way to production share: tools of `make setup-ops`, and AWS on this machine."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".venv-ops" / "bin"
START_S = 120
REGION = "us-east-1"
ACCOUNT = "123456789012"


def tool(name):
    """Return a tool of `make setup-ops`, or skip."""
    if not (BIN / name).exists():
        pytest.skip(f"{name} is not here: `make setup-ops`")
    return str(BIN / name)


def program(name, hint):
    """Return a program of this machine, or skip."""
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not here: {hint}")
    return found


def run(*command, env=None, cwd=ROOT, **given):
    """Run a command to its end, and return what it printed and its code."""
    return subprocess.run(
        [str(word) for word in command], cwd=cwd, env=env, text=True, capture_output=True, timeout=600, **given
    )


@contextlib.contextmanager
def moto(folder, **variables):
    """Yield the address of an AWS of its own, in a process of its own; variables are those of tests/aws_server.py."""
    log = folder / "moto.log"
    program = [tool("python"), ROOT / "tests/aws_server.py"] if variables else [tool("moto_server")]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*program, "-H", "127.0.0.1", "-p", "0"],
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | variables,
        )
    try:
        yield _address(log, process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _address(log, process):
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        if found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text()):
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f"no address within {START_S} s: {log.read_text()}")


def environment(address, **more):
    """Return an environment in which AWS is the one at an address, and nothing of this machine's own counts."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_", "DVC_"))}
    return own | {
        **({"AWS_ENDPOINT_URL": address} if address else {}),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
        "NO_PROXY": "127.0.0.1",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        **more,
    }
