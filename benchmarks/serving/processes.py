"""Server processes: start, supervision, stop, CPU time and memory."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

MB = 1e6
STOP_S = 15.0
LOOK_S = 0.02


@dataclass(frozen=True)
class Memory:
    """Memory of a tree of processes: PSS shares out what processes share, RSS counts it for each."""

    pss_mb: float
    rss_mb: float
    processes: int


class Server:
    """A server that this program started, with everything it started in turn."""

    def __init__(self, command: Sequence[str], folder: Path, variables: Mapping[str, str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self._cpu_s: dict[psutil.Process, float] = {}
        with log.open("wb") as output:
            self.started = time.perf_counter()
            self.process = subprocess.Popen(
                command, cwd=folder, env=dict(variables), stdout=output, stderr=output, start_new_session=True
            )

    def tree(self) -> list[psutil.Process]:
        """Return the process and all below it."""
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def cpu_s(self) -> float:
        """Return the processor time that the tree has used so far, in seconds."""
        for process in self.tree():
            with suppress(psutil.Error):  # it ended since it was listed
                times = process.cpu_times()
                self._cpu_s[process] = times.user + times.system
        return sum(self._cpu_s.values())

    def memory(self) -> Memory:
        """Return what the tree holds now."""
        infos = []
        for process in self.tree():
            with suppress(psutil.Error):
                infos.append(process.memory_full_info())
        pss, rss = (sum(getattr(info, kind) for info in infos) / MB for kind in ("pss", "rss"))
        return Memory(round(pss, 1), round(rss, 1), len(infos))

    def until(self, ready: Callable[[], bool], timeout_s: float = 120.0) -> float:
        """Wait until it is ready and return the seconds since its start.

        Raises
        ------
        RuntimeError
            It ended, or took too long; the end of its log is shown.
        """
        while time.perf_counter() - self.started < timeout_s:
            if self.process.poll() is not None:
                raise RuntimeError(f"ended with {self.process.returncode}: {self.log_end()}")
            with suppress(OSError):  # nobody listens yet
                if ready():
                    return time.perf_counter() - self.started
            time.sleep(LOOK_S)
        raise RuntimeError(f"no right answer within {timeout_s:g} s: {self.log_end()}")

    def log_end(self) -> str:
        """Return the last of what it printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:]

    def stop(self) -> None:
        """Ask it to end, then make everything it started end."""
        left = self.tree()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        _, alive = psutil.wait_procs(left, timeout=STOP_S)
        for process in alive:
            with suppress(psutil.Error):
                process.kill()
        self.process.wait()
