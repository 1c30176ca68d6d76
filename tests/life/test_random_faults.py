"""Random faults one after another: a served project answers or says why, and loses nothing that is not counted."""

import os
import random
import time

import pytest

from tests.life.served import possible

pytestmark = [pytest.mark.server, pytest.mark.pipeline]
SECONDS, LONG_SECONDS = 20, 1800


@pytest.mark.long("draws faults for minutes")
def test_whatever_happens_it_answers_and_loses_nothing_uncounted(served, orphans, request, capsys):
    """LIFE_SEED repeats a run, LIFE_SECONDS sets its length; the short run has always the same faults."""
    long = request.config.getoption("long")
    seed = int(os.environ.get("LIFE_SEED") or (time.time() if long else 1))
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
