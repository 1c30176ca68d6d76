"""Random faults one after another: a served project answers or says why, and loses nothing that is not counted."""

import os
import random
import subprocess
import time

import pytest

from tests.life.served import Served, possible
from tests.pipeline.project import copy_of
from tests.postgres import program

pytestmark = [pytest.mark.server, pytest.mark.pipeline]
SECONDS, LONG_SECONDS = 60, 1800


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
def served(finished, disk, tmp_path, request):
    folder, mounted = disk
    project = copy_of(finished, folder / "project")
    postgres = request.getfixturevalue("postgres") if program("postgres") else None
    served = Served(project, tmp_path / "serve.log", folder if mounted else None, postgres)
    yield served
    for name in list(served.ending):
        served.end(name)
    if served.server.process.poll() is None:
        served.server.kill()


def test_whatever_happens_it_answers_and_loses_nothing_uncounted(served, orphans, request, capsys):
    """LIFE_SEED repeats a run, LIFE_SECONDS sets its length."""
    long = request.config.getoption("long")
    seed = int(os.environ.get("LIFE_SEED") or time.time())
    end = time.monotonic() + float(os.environ.get("LIFE_SECONDS") or (LONG_SECONDS if long else SECONDS))
    chance, steps = random.Random(seed), []
    with served.traffic:
        while time.monotonic() < end:
            begin, ending = possible(served, long)
            lasts = ending and chance.random() < 0.4
            name = chance.choice(ending if lasts else begin)
            steps.append(f"{'end of ' if lasts else ''}{name}")
            with capsys.disabled():
                print(f"{seed} {len(steps)}: {steps[-1]}", flush=True)
            (served.end if lasts else served.begin)(name)
            served.answers()
        served.settle()
    assert served.server.stop(within_s=60) == 0
    assert not orphans(), (seed, steps)
    assert "Traceback" not in served.server.log.read_text(), (seed, steps)
