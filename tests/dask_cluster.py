"""A Dask cluster of real processes on this machine."""

import os
import subprocess
import sys
from contextlib import contextmanager

from distributed import Client

CONFIG = {
    "DASK_DISTRIBUTED__SCHEDULER__ACTIVE_MEMORY_MANAGER__START": "false",
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
    "DASK_DISTRIBUTED__ADMIN__LOG_FORMAT": "%(message)s",
}


class Cluster:
    """A scheduler and workers of one thread each; `observer` is a client of its own."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        self.scheduler = self._start("scheduler", "--port", "0")
        self.address = self._said("Scheduler at:")
        self.observer = None

    def add_worker(self, *words, **environment):
        """Start one more worker and wait until it takes work."""
        wanted = len(self.threads()) + 1
        words = ("--nthreads", "1", "--local-directory", self.folder, *(words or ("--no-nanny",)))
        process = self._start("worker", self.address, *words, **environment)
        self.observer.wait_for_workers(wanted, timeout=120)
        return process

    def threads(self):
        """Return the threads of each worker that the scheduler knows."""
        self.observer = self.observer or Client(self.address, set_as_default=False, timeout=60)
        return self.observer.nthreads()

    def pids(self):
        """Return the address of each worker with its process."""
        return self.observer.run(os.getpid)

    def stop(self):
        """End all, at once."""
        if self.observer:
            self.observer.close()
        for process in reversed(self.processes):
            process.kill()
            process.wait()

    def _start(self, kind, *words, **environment):
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *map(str, words)]
        source = os.pathsep.join(path for path in sys.path if path)
        with (self.folder / f"{kind}-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--no-dashboard"],
                env=os.environ | {"PYTHONPATH": source} | CONFIG | environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def _said(self, words):
        path = self.folder / "scheduler-0.log"
        while self.scheduler.poll() is None:
            line = next((line for line in path.read_text().splitlines() if words in line), None)
            if line:
                return line.partition(words)[2].strip()
        raise AssertionError(path.read_text())


@contextmanager
def started(folder, workers=2):
    """Yield a cluster of so many workers."""
    cluster = Cluster(folder)
    try:
        for _ in range(workers):
            cluster.add_worker()
        yield cluster
    finally:
        cluster.stop()
