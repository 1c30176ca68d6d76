import os
import signal

import pytest

from lockstep.compute import pool as compute
from lockstep.config.params import Compute
from lockstep.errors import ComputeError, ConfigError

ADDRESS, OTHER = "tcp://scheduler:8786", "tls://other:1"


def of_two(first, second, number):
    return first + second + number


def end(number):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("jobs", [1, 2])
def test_each_task_is_run_with_what_is_shared(jobs):
    with compute.pool(Compute(), jobs) as pool:
        assert dict(pool.run(of_two, (100, 20), [(number,) for number in range(5)])) == {n: 120 + n for n in range(5)}
        assert list(pool.run(of_two, (), [])) == []


def test_a_process_that_is_killed_is_told_of():
    with compute.pool(Compute(), 2) as pool, pytest.raises(ComputeError, match="a process was killed") as told:
        list(pool.run(end, (), [(number,) for number in range(4)]))
    assert "fewer jobs" in told.value.hint


@pytest.mark.parametrize(
    ("engine", "address", "environment", "expected"),
    [
        ("local", "", "", ""),
        ("local", ADDRESS, "", ""),
        ("dask", ADDRESS, "", ADDRESS),
        ("dask", "", OTHER, OTHER),
        ("dask", ADDRESS, OTHER, OTHER),
        ("local", "", OTHER, OTHER),
        ("dask", "", "", "model_building.compute.engine is dask, but no scheduler is named"),
        ("dask", "scheduler:8786", "", "'scheduler:8786' is no address"),
        ("dask", "tcp://scheduler", "", "'tcp://scheduler' is no address"),
        ("local", "", "tcp://:8786", "'tcp://:8786' is no address"),
    ],
)
def test_the_scheduler_is_that_of_the_environment_else_that_of_params(
    monkeypatch, engine, address, environment, expected
):
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", environment)
    given = Compute(engine=engine, address=address)
    if expected in ("", ADDRESS, OTHER):
        assert compute.scheduler_address(given) == expected
        return
    with pytest.raises(ConfigError, match=r"scheduler") as told:
        compute.scheduler_address(given)
    assert expected in told.value.problem
    assert "tcp://" in told.value.hint
