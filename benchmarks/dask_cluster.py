"""Measure the overhead of a Dask cluster compared with local processes, as ratios of alternating runs.

    python benchmarks/dask_cluster.py [--rounds N] [--workers N]

The same trials run on N processes of this machine, on N workers of a cluster on this machine through
`lockstep.compute`, and with joblib's Dask backend. Figures are medians over alternating rounds, so that other load
affects all alike.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import lockstep  # noqa: F401 - pins the numeric libraries before the next lines load them

# isort: split
import joblib
import numpy as np
from distributed import Client, LocalCluster
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from lockstep.compute import dask
from lockstep.compute import pool as compute

ROWS, COLUMNS = 20_000, 30


@dataclass(frozen=True)
class Load:
    """Some trials: an estimator and how often it is fitted, on how many rows."""

    name: str
    estimator: Any
    trials: int
    rows: int


class Rows:
    """A matrix (rows, columns) with its target; it notes in a file which process received it."""

    def __init__(self, notes: Path) -> None:
        random = np.random.default_rng(0)
        self.notes, self.matrix = notes, random.normal(size=(ROWS, COLUMNS))
        self.target: NDArray[np.int64] = (self.matrix[:, 0] + random.normal(size=ROWS) > 0).astype(np.int64)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        with self.notes.open("a") as notes:
            notes.write(f"{os.getpid()}\n")


LOADS = (
    Load("boosting, 20,000 rows", HistGradientBoostingClassifier(max_iter=30), 40, ROWS),
    Load("logistic, 20,000 rows", LogisticRegression(), 200, ROWS),
    Load("logistic, 100 rows", LogisticRegression(), 400, 100),
)


def trial(rows: Rows, estimator: Any, count: int, number: int) -> float:
    """Fit on the first rows and return the accuracy on them."""
    return float(
        estimator.fit(rows.matrix[:count], rows.target[:count]).score(rows.matrix[:count], rows.target[:count])
    )


def tasks_of(load: Load) -> list[tuple[Any, int, int]]:
    """Return the trials of a load as the tasks of a pool."""
    return [(load.estimator, load.rows, number) for number in range(load.trials)]


def by_pool(pool: compute.Pool, rows: Rows, load: Load) -> None:
    """Run a load on a pool."""
    done = dict(pool.run(trial, (rows,), tasks_of(load)))
    assert len(done) == load.trials


def by_joblib(rows: Rows, load: Load) -> None:
    """Run a load by joblib's backend for Dask."""
    done = joblib.Parallel()(joblib.delayed(trial)(rows, *task) for task in tasks_of(load))
    assert len(done) == load.trials


@contextmanager
def sides(address: str, jobs: int, rows: Rows) -> Iterator[dict[str, Callable[[Load], None]]]:
    """Yield the ways to run a load, all of them opened."""
    with (
        dask.connected(address) as pool,
        Client(address) as client,
        joblib.parallel_config(backend="dask", client=client, scatter=[rows]),
    ):

        def locally(load: Load) -> None:
            with joblib.parallel_config(backend="loky"):
                by_pool(compute.LocalPool(jobs), rows, load)

        yield {
            "processes": locally,
            "cluster": lambda load: by_pool(pool, rows, load),
            "joblib on the cluster": lambda load: by_joblib(rows, load),
        }


def measure(ways: dict[str, Callable[[Load], None]], load: Load, rounds: int) -> dict[str, float]:
    """Return the median seconds of each way, after one round that starts the processes."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, run in ways.items():
            started = perf_counter()
            run(load)
            took[name] += [perf_counter() - started] if number else []
    return {name: median(seconds) for name, seconds in took.items()}


def table(ratios: dict[str, dict[str, float]]) -> str:
    """Return the figures as ratios to the processes of this machine."""
    names = list(next(iter(ratios.values())))
    lines = [f"| trials | {' | '.join(names)} |", f"| --- |{' --- |' * len(names)}"]
    for load, took in ratios.items():
        base = took[names[0]]
        cells = [f"{base:.1f} s", *(f"{took[name] / base:.2f}" for name in names[1:])]
        lines.append(f"| {load} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(words: Sequence[str]) -> int:
    """Measure and print a table, and how often a worker received the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args(words)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(n_workers=chosen.workers, threads_per_worker=1, dashboard_address=None) as cluster,
    ):
        rows = Rows(Path(folder, "received"))
        with sides(cluster.scheduler_address, chosen.workers, rows) as ways:
            ratios = {f"{load.trials} x {load.name}": measure(ways, load, chosen.rounds) for load in LOADS}
        print(table(ratios))
        worker_pids = {worker.pid for worker in cluster.workers.values()}
        received = Counter(int(pid) for pid in rows.notes.read_text().split())
        print("received by each worker, both ways together:", [received[pid] for pid in sorted(worker_pids)])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
