"""Two builds of a commit have the same files, and the label says so, on a real engine."""

import subprocess
import sys

import pytest

from tests.image import engine
from tests.image.engine import docker
from tests.root import ROOT

pytestmark = pytest.mark.image
LABEL = "lockstep.content.sha256"


def content(image):
    """Return the digest that the script reads from an image."""
    command = [sys.executable, ROOT / "scripts/image_content.py", image]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_second_build_of_a_commit_without_any_cache_has_the_same_files(project, image, python_image):
    again = "lockstep-test/app:again"
    environment = project.environment | {"IMAGE": again, "PYTHON_IMAGE": python_image}
    command = [project.root / "scripts/image", "--no-cache", "--network", "host"]
    done = subprocess.run(
        command, cwd=project.root, env=environment, capture_output=True, text=True, timeout=1800, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    try:
        first, second = (engine.inspect(name) for name in (image, again))
        assert first["Id"] != second["Id"], "the layers carry times, so that the ids say nothing"
        labels = [each["Config"]["Labels"] for each in (first, second)]
        assert labels[0] == labels[1]
        assert labels[0][LABEL] == content(image) == content(again)
    finally:
        docker("rmi", again)


CHANGES = {
    "a byte": "echo >> /app/params.yaml",
    "a mode": "chmod u+x /app/params.yaml",
    "an owner": "chown 1:1 /app/params.yaml",
    "a link": "ln -s params.yaml /app/other.yaml",
    "a file less": "rm /opt/lockstep/bin/activate",
}


@pytest.mark.parametrize("command", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_of_the_files_changes_the_digest(image, command):
    changed = "lockstep-test/app:changed"
    docker("build", "--tag", changed, "-", input=f"FROM {image}\nUSER 0\nRUN {command}\nUSER 10001:10001\n")
    try:
        assert content(changed) != content(image)
    finally:
        docker("rmi", changed)


def test_a_time_alone_does_not(image):
    touched = "lockstep-test/app:touched"
    docker("build", "--tag", touched, "-", input=f"FROM {image}\nUSER 0\nRUN touch /app/*\nUSER 10001:10001\n")
    try:
        assert content(touched) == content(image)
    finally:
        docker("rmi", touched)
