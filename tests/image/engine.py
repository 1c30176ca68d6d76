"""Docker as the tests use it: short calls, containers that are gone at the end."""

import contextlib
import json
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

from tests.serving.load import ask
from tests.serving.real import free_port, wait_for

STANDINS = Path(__file__).parent / "standins"
BASE = "python:3.11-slim"
PYTHON = "lockstep-test/python:3.11"
REAL_BASE_MB = 125
"""What python:3.11-slim takes unpacked, give or take a few MB from month to month; a stand-in is larger."""

HARDENED = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--memory", "2g", "--pids-limit", "2048"),
)


def docker(*words, ok=True, **options):
    """Run the client and return what it prints."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, **{"timeout": 1800, **options})
    assert done.returncode == 0 or not ok, f"docker {' '.join(words)}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout if ok else done


def inspect(name):
    return json.loads(docker("inspect", name))[0]


def known(image):
    return docker("image", "inspect", image, ok=False).returncode == 0


def make_python():
    """Build the base with this machine's certificates and pip's settings, which no image of ours may hold."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(STANDINS / "python.Dockerfile", Path(folder, "Dockerfile"))
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", Path(folder, "ca.crt"))
        listed = subprocess.run(["pip", "config", "list"], capture_output=True, text=True, check=True).stdout
        index = [line.split("=", 1)[1].strip("'") for line in listed.splitlines() if ".index-url=" in line]
        lines = ["[global]", "cert = /etc/ssl/certs/ca-certificates.crt", *(f"index-url = {one}" for one in index)]
        Path(folder, "pip.conf").write_text("\n".join([*lines, ""]))
        docker("build", "--tag", PYTHON, folder)


def make_standin(name, image):
    """Build what stands in for an image that cannot be pulled."""
    file = STANDINS / f"{name}.Dockerfile"
    docker("build", "--network", "host", "--file", str(file), "--tag", image, str(STANDINS))


class Container:
    """One container of the app on a port of this host."""

    def __init__(self, image, *options, port=None, **settings):
        self.name, self.port = f"lockstep-test-{uuid.uuid4().hex[:8]}", port or free_port()
        given = {"HOST": "127.0.0.1", "PORT": str(self.port), **settings}
        words = [word for key, value in given.items() for word in ("--env", f"{key}={value}")]
        docker("run", "--detach", "--name", self.name, "--network", "host", *HARDENED, *options, *words, image)

    def get(self, path, **options):
        return ask(self.port, "GET", path, **options)

    def until_ready(self, within_s=60):
        """Return how long it took until the app says that it can answer."""
        return wait_for(lambda: self.get("/readyz")[0] == 200, within_s)[1]

    def python(self, code):
        return docker("exec", self.name, "python", "-c", code)

    def log(self):
        done = docker("logs", self.name, ok=False)
        return done.stdout + done.stderr

    def remove(self):
        docker("rm", "--force", "--volumes", self.name, ok=False)


@contextlib.contextmanager
def running(image, *options, **settings):
    container = Container(image, *options, **settings)
    try:
        yield container
    finally:
        container.remove()
