"""Task pool on a Dask cluster: shared data is sent once, tasks of lost workers run again, code and packages agree."""

import functools
import logging
import math
import pickle
import platform
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from lockstep import files, numeric_pins
from lockstep.errors import ComputeError

LOST = (CancelledError, OSError, RuntimeError)
CONNECT_S, LOOK_S, ALONE_S = 5.0, 2.0, 60.0
AHEAD = 2  # Tasks under way for each thread of the cluster: one that runs, and one that follows without a pause.
MOST_LOSSES = 3
LARGE = 100_000  # Bytes from which an argument of several tasks is sent once, and not with each of them.
PACKAGES = (
    *("numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "joblib", "skops", "threadpoolctl"),
    *("lightgbm", "xgboost", "xgboost-cpu", "dask", "distributed", "cloudpickle"),
)
HINT = "docs/dask.md shows how workers are started"
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Packed:
    """An argument that travels with its task, closed to the scheduler, which would unpack it to look inside."""

    content: bytes

    @property
    def value(self) -> Any:
        """What was packed."""
        return _unpacked(self.content)


@dataclass(frozen=True)
class Shared:
    """What many tasks use: sent once, and its arrays begin where a processor reads them well.

    Dask puts all that arrives into one piece of memory, one after the other. An array that begins there at an odd byte
    is copied again by each operation on it, and a fit took three times as long.
    """

    value: Any

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        import cloudpickle

        arrays: list[pickle.PickleBuffer] = []
        rest = cloudpickle.dumps(self.value, protocol=5, buffer_callback=arrays.append)
        return _arrived, (rest, arrays)


def _arrived(rest: bytes, arrays: Sequence[Any]) -> Shared:
    copies = [np.frombuffer(array, np.uint8).copy() for array in arrays]
    for array in copies:
        array.flags.writeable = False  # as on this machine, where processes share it
    return Shared(_unpacked(rest, copies))


def _unpacked(content: bytes, arrays: Sequence[Any] = ()) -> Any:
    """Return what was packed. This trusts nobody new: Dask unpacks all that it is sent."""
    return pickle.loads(content, buffers=arrays)  # noqa: S301 - as Dask does # nosemgrep: no-pickle


@contextmanager
def connected(address: str) -> Iterator["DaskPool"]:
    """Open the cluster of a scheduler, all of whose workers have this process's code and packages.

    Raises ComputeError: distributed is missing, the scheduler is out of reach, or its workers are none or others than
    these.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ComputeError(
            "distributed is not installed", "`make setup-extras`, or pip install 'lockstep-mlops[dask]'"
        ) from None
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False, name="lockstep")
    except (OSError, TypeError, ValueError) as error:  # tls:// without certificates is a TypeError
        reason = " ".join(str(error).split())[:200]
        raise ComputeError(
            f"no Dask scheduler answers at {address}: {reason}", f"start it, or mend it; {HINT}"
        ) from None
    with client:
        _check_workers(client, address)
        yield DaskPool(client, address)


class DaskPool:
    """The workers of a cluster; what tasks share is sent to each of them once, however often `run` is called."""

    def __init__(self, client: Any, address: str) -> None:
        self.client, self.address = client, address
        self.sent: dict[int, tuple[Any, Any]] = {}
        self._threads: tuple[float, int] = (-math.inf, 0)

    def run(
        self, function: Callable[..., Any], shared: Sequence[Any], tasks: Sequence[Sequence[Any]]
    ) -> Iterator[tuple[int, Any]]:
        """Yield the place of each task and `function(*shared, *task)`, in the order in which they are done.

        Raises ComputeError: a task took several workers with it, all workers stay away, or the scheduler does.
        """
        work = _Work(self, function, shared, tasks)
        try:
            while work.waiting or work.under_way:
                try:
                    work.submit()
                    done = work.collect()
                except LOST:
                    self._recover()
                    work.begin_again()
                    continue
                for index, future, result in done:
                    if future.status == "error":
                        raise work.failure(index, result)
                    yield index, result
        finally:
            work.cancel()

    def send(self, objects: Sequence[Any]) -> list[Any]:
        """Return what stands for objects on the cluster; those that are not there yet go to every worker."""
        new = {id(each): each for each in objects if id(each) not in self.sent}
        if new:
            futures = self.client.scatter([Shared(each) for each in new.values()], broadcast=True, hash=False)
            self.sent |= {key: (each, future) for (key, each), future in zip(new.items(), futures, strict=True)}
        return [self.sent[id(each)][1] for each in objects]

    def threads(self) -> int:
        """Return how many threads all workers have, as of the last seconds; they come and go."""
        now = time.monotonic()
        if now - self._threads[0] > LOOK_S:
            self._threads = (now, sum(self.client.nthreads().values()))
        return self._threads[1]

    def wait_for_workers(self) -> None:
        """Give workers that are gone the time to come back."""
        try:
            self.client.wait_for_workers(1, timeout=ALONE_S)
        except TimeoutError:
            raise ComputeError(
                f"no worker is left at {self.address}", f"start some, and run it again; {HINT}"
            ) from None
        except (OSError, RuntimeError) as error:
            raise ComputeError(
                f"the Dask scheduler at {self.address} was lost", "look at its log, start it, and run this again"
            ) from error

    def _recover(self) -> None:
        """Forget what was sent: it went with the last worker that held it."""
        self.wait_for_workers()
        self.sent.clear()
        logging.getLogger("cluster").warning("workers are gone with the data they held: it is sent again")


class _Work:
    """The tasks of one call: those that wait, and those that are on the cluster."""

    def __init__(
        self, pool: DaskPool, function: Callable[..., Any], shared: Sequence[Any], tasks: Sequence[Sequence[Any]]
    ) -> None:
        self.pool, self.common, self.tasks = pool, [function, *shared], tasks
        self.waiting, self.under_way = deque(range(len(tasks))), dict[Any, int]()
        self.often, self.losses = _repeated(tasks), Counter[int]()

    def submit(self) -> None:
        """Hand over as many tasks as keep every worker busy."""
        import cloudpickle

        room = AHEAD * max(1, self.pool.threads())
        while self.waiting and len(self.under_way) < room:
            task = self.tasks[self.waiting[0]]
            large = iter(self.pool.send([each for each in task if id(each) in self.often]))
            packed = [next(large) if id(each) in self.often else Packed(cloudpickle.dumps(each)) for each in task]
            future = self.pool.client.submit(_run, fingerprint(), *self.pool.send(self.common), *packed, pure=False)
            self.under_way[future] = self.waiting.popleft()

    def collect(self) -> list[tuple[int, Any, Any]]:
        """Wait for a task to be done; return place, future, and result or error of all that are."""
        futures = self._wait()
        results = self.pool.client.gather([future for future in futures if future.status != "error"])
        received = iter(results)
        done = [(future, future.exception() if future.status == "error" else next(received)) for future in futures]
        return [(self.under_way.pop(future), future, result) for future, result in done]

    def begin_again(self) -> None:
        """Let all that was on the cluster wait; what was there at one loss after the other is what causes them."""
        indices = sorted(self.under_way.values())
        self.losses.update(indices)
        odd = next((index for index in indices if self.losses[index] > MOST_LOSSES), None)
        if odd is not None:
            raise self.failure(odd, None)
        self.waiting.extendleft(reversed(indices))
        self.under_way.clear()

    def cancel(self) -> None:
        """Take back what is on the cluster; what runs already runs to its end there."""
        if self.under_way and self.pool.client.status == "running":
            self.pool.client.cancel(list(self.under_way), force=True)

    def failure(self, index: int, error: Exception | None) -> Exception:
        """Return what a task failed by; without an error, workers were lost again and again."""
        from distributed import KilledWorker

        if error and not isinstance(error, KilledWorker):
            return error
        failure = ComputeError(
            f"each time that {str(self.tasks[index][0])[:100]} ran, its worker died",
            "it may need more memory than a worker has: give workers more, or leave it out",
        )
        failure.task_index = index
        return failure

    def _wait(self) -> list[Any]:
        from distributed import wait

        while True:
            with suppress(TimeoutError), self.pool.client.as_current():
                return list(wait(list(self.under_way), timeout=LOOK_S, return_when="FIRST_COMPLETED").done)
            if not self.pool.threads():
                self.pool.wait_for_workers()


def _repeated(tasks: Sequence[Sequence[Any]]) -> set[int]:
    """Return the ids of large arguments that stand in several tasks."""
    times = Counter(id(each) for task in tasks for each in task)
    by_id = {id(each): each for task in tasks for each in task}
    return {key for key, count in times.items() if count > 1 and _size(by_id[key]) >= LARGE}


def _size(value: Any) -> int:
    """Return how many bytes would be sent, without copying arrays."""
    import cloudpickle

    apart: list[pickle.PickleBuffer] = []
    rest = cloudpickle.dumps(value, protocol=5, buffer_callback=apart.append)
    return len(rest) + sum(buffer.raw().nbytes for buffer in apart)


def _run(wanted: str, function: Shared, *arguments: "Shared | Packed") -> Any:
    """Run one task in a worker, one at a time in each process: its threads share their filters of warnings."""
    if fingerprint() != wanted:
        raise ComputeError("a worker that joined has other code, packages or instruction sets", HINT)
    values = [each.value for each in arguments]
    with _ONE_AT_A_TIME:
        return function.value(*values)


def _check_workers(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=CONNECT_S)
    except TimeoutError:
        raise ComputeError(f"the Dask scheduler at {address} has no workers", f"start some; {HINT}") from None
    _compare("the scheduler", _asked(lambda: client.run_on_scheduler(versions)))
    for worker, there in client.run(versions, on_error="return").items():
        _compare(f"worker {worker}", there)
    for worker, there in client.run(instructions).items():
        _compare_instructions(worker, there)
    threads = client.nthreads()
    if max(threads.values()) > 1:
        logging.getLogger("cluster").warning("one task runs in a worker at a time: start workers with --nthreads 1")
    logging.getLogger("cluster").info("%d workers at %s", len(threads), address)


def _asked(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - whatever importing this module there ended with
        return error


def _compare(name: str, there: Any) -> None:
    """Refuse a process that has other code or packages than this one, which could find other results."""
    if isinstance(there, Exception):
        raise ComputeError(f"{name} cannot run Lockstep: {there}", f"install it there; {HINT}") from there
    here = versions()
    odd = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
    if odd:
        said = ", ".join(f"{each} {there.get(each, 'missing')} for {here.get(each, 'none')}" for each in odd[:5])
        raise ComputeError(f"{name} differs from this machine: {said}", f"install the same everywhere; {HINT}")


@functools.cache
def versions() -> dict[str, str]:
    """Return what results depend on: Python, packages, and a digest of the code of this package."""
    versions_here = {"python": ".".join(platform.python_version_tuple()[:2]), "lockstep": _code()}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions_here[name] = metadata.version(name)
    return versions_here


@functools.cache
def instructions() -> str:
    """Return how this process computes otherwise than `numeric_pins` says; it is loaded with numpy, so it stays so."""
    return ", ".join(filter(None, [numeric_pins.lacking(), *numeric_pins.deviations()])) or "as pinned"


def _compare_instructions(worker: str, there: str) -> None:
    if there != instructions():
        raise ComputeError(
            f"worker {worker} computes with other instruction sets than this machine ({instructions()}): {there}",
            "start it by `env $(lockstep doctor --pins) dask worker ...`, on processors of one kind; " + HINT,
        )


def fingerprint() -> str:
    """Return the versions and the instruction sets in one short text."""
    return _digest((*sorted(versions().items()), ("instructions", instructions())))


@functools.cache
def _digest(items: tuple[tuple[str, str], ...]) -> str:
    return files.sha256_bytes(repr(items).encode())[:16]


def _code() -> str:
    """Return the first digits of a digest over the modules and lists of this package, by name."""
    root = Path(__file__).parents[1]
    modules = sorted(path for path in root.rglob("*") if path.suffix in (".py", ".toml"))
    whole = "\n".join(f"{path.relative_to(root).as_posix()} {files.sha256(path)}" for path in modules)
    return files.sha256_bytes(whole.encode())[:12]
