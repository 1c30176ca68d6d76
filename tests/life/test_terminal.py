"""Every command on an ASCII terminal, and read by a program that ends before it."""

import shlex
import subprocess
import sys

import pytest

from lockstep import cli
from tests.pipeline.project import copy_of

ARGUMENTS = {
    "init": ["data/external/README.md", "--target", "x"],
    "use": ["iris"],
    "log": ["export", "out.csv"],
    "predict": ["in.csv", "out.csv"],
    "export": ["build/model"],
    "verify": ["--help"],
    "retrain": ["--help"],
    "serve": ["--help"],
}
QUICK = ("history",)


@pytest.mark.long("runs every command into a closed pipe")
@pytest.mark.pipeline
def test_no_command_minds_its_reader(finished, tmp_path, request):
    """As `lockstep ... | true`, where standard output is closed, on a terminal that knows no letter beyond ASCII."""
    project = copy_of(finished, tmp_path / "größe")
    environment = project.environment | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    for name in cli.COMMANDS if request.config.getoption("long") else QUICK:
        command = shlex.join([sys.executable, "-m", "lockstep", name, *ARGUMENTS.get(name, [])])
        for reader in ("true", "cat"):
            piped = ["bash", "-c", f"{command} | {reader}"]
            done = subprocess.run(piped, cwd=project.root, env=environment, capture_output=True, timeout=120)
            for word in (b"Traceback", b"Broken pipe", b"BrokenPipe", b"UnicodeEncodeError", b"please report"):
                assert word not in done.stderr, (command, reader, done.stderr)
