"""Where many small pieces of work run: processes of this machine, or the workers of a Dask cluster."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from joblib import Parallel, delayed

from lockstep import compat
from lockstep.config.params import Compute
from lockstep.config.settings import Settings
from lockstep.errors import ComputeError, ConfigError

ADDRESSES = ("tcp://", "tls://")


class Pool(Protocol):
    """Runs pieces of work side by side."""

    def run(
        self, function: Callable[..., Any], shared: Sequence[Any], tasks: Sequence[Sequence[Any]]
    ) -> Iterator[tuple[int, Any]]:
        """Yield the place of each task and `function(*shared, *task)`, in the order in which they are done."""


class LocalPool:
    """Processes of this machine; one runs the work in this process."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def run(
        self, function: Callable[..., Any], shared: Sequence[Any], tasks: Sequence[Sequence[Any]]
    ) -> Iterator[tuple[int, Any]]:
        """Yield the place of each task and `function(*shared, *task)`, in the order in which they are done.

        Raises ComputeError: a process was killed.
        """
        work = (delayed(_numbered)(index, function, *shared, *task) for index, task in enumerate(tasks))
        try:
            yield from Parallel(n_jobs=self.jobs, return_as="generator_unordered")(work)
        except compat.worker_death():
            raise ComputeError(
                "a process was killed, as the system does where memory runs out", "run it with fewer jobs"
            ) from None


@contextmanager
def pool(compute: Compute, jobs: int) -> Iterator[Pool]:
    """Open what `compute` names, or the scheduler that the environment names instead."""
    address = scheduler_address(compute)
    if not address:
        yield LocalPool(jobs)
        return
    from lockstep.compute import dask

    with dask.connected(address) as opened:
        yield opened


def scheduler_address(compute: Compute) -> str:
    """Return the address of the Dask scheduler to use, an empty text for this machine.

    Raises ConfigError: there should be one, but it is not named, or what is named is no address.
    """
    address = Settings.read(os.environ).dask_address or (compute.address if compute.engine == "dask" else "")
    if compute.engine == "dask" and not address:
        raise ConfigError(
            "model_building.compute.engine is dask, but no scheduler is named",
            "set DASK_SCHEDULER_ADDRESS or model_building.compute.address, such as tcp://127.0.0.1:8786",
        )
    return check_address(address) if address else ""


def check_address(address: str) -> str:
    """Return an address that has the form of a scheduler's. Raises ConfigError: it has not."""
    host, _, port = address.removeprefix("tcp://").removeprefix("tls://").rpartition(":")
    if not (address.startswith(ADDRESSES) and host and port.isdecimal()):
        raise ConfigError(f"{address!r} is no address of a Dask scheduler", "write tcp://HOST:PORT or tls://HOST:PORT")
    return address


def _numbered(index: int, function: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
    return index, function(*arguments)
