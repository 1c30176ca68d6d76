"""Measure run time and memory of the pipeline relative to a lower bound, as ratios of alternating runs.

    python benchmarks/pipeline.py [--rounds N] [--reviews PATH] [--review-rounds N] [--json]

Figures are medians over rounds that alternate A B A B, so that other load on the machine affects both alike.
The exit code does not depend on the figures.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import psutil

ROOT = Path(__file__).resolve().parent.parent
ONE_PROCESS = ROOT / "benchmarks" / "one_process.py"
REVIEWS = ROOT.parent / "shared" / "data" / "imdb.csv.gz"
UNSET = ("MLFLOW_TRACKING_URI", "DAGSHUB_REPO", "DAGSHUB_USER_TOKEN", "CAPSTONE_TEST", "LOCKSTEP_STATE", "PYTHONPATH")
SAMPLE_S = 0.2
NO_OP_ROUNDS = 5
MB = 1e6


@dataclass(frozen=True)
class Cost:
    """What one command took: seconds of wall clock and of CPU of it and its children, and memory in MB."""

    wall_s: float
    cpu_s: float
    process_mb: float
    tree_mb: float


@dataclass(frozen=True)
class Figure:
    """One row of the answer: what was measured, and what it should be at most."""

    name: str
    target: float
    measured: float
    unit: str
    detail: str

    @property
    def met(self) -> bool:
        """Return whether the measured value is within the target."""
        return self.measured <= self.target


def main(words: Sequence[str]) -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="rounds on the embedded data (default 3, 0 skips)")
    parser.add_argument("--reviews", type=Path, default=REVIEWS, metavar="PATH", help="imdb.csv.gz, 50,000 reviews")
    parser.add_argument("--review-rounds", type=int, default=1, help="rounds on the reviews (default 1, 0 skips)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(words)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as folder:
        if arguments.rounds:
            figures += default_figures(Path(folder), arguments.rounds)
        if arguments.review_rounds and arguments.reviews.is_file():
            figures += review_figures(Path(folder), arguments.reviews.resolve(), arguments.review_rounds)
        elif arguments.review_rounds:
            _say(f"SKIPPED: the reviews are not at {arguments.reviews}; say --reviews PATH")
    print(as_json(figures) if arguments.json else table(figures))


def default_figures(folder: Path, rounds: int) -> list[Figure]:
    """Compare on the embedded data, then a run with nothing to do with the time DVC takes to say its version."""
    pipeline, single = both_ways(folder, "default", rounds, source=None)
    done, smallest = clone(folder / "nothing-to-do", source=None), smallest_project(folder / "smallest")
    run(dvc("repro"), done)
    nothing, version, least = [], [], []
    for _ in range(NO_OP_ROUNDS):
        nothing.append(run(dvc("repro"), done))
        version.append(run(dvc("--version"), done))
        least.append(run(dvc("repro"), smallest))
    return [
        *ratios("dvc repro / one process, embedded data", 2.5, pipeline, single),
        *ratios("dvc repro with nothing to do / dvc --version", 4.0, nothing, version),
        *ratios("the same in a project of one stage without a dependency", 4.0, least, version),
    ]


def smallest_project(place: Path) -> Path:
    """Make the least that DVC can reproduce, which shows what DVC itself costs."""
    place.mkdir()
    (place / "dvc.yaml").write_text("stages:\n  only:\n    cmd: touch out\n    outs: [out]\n", encoding="utf-8")
    for command in (["git", "init", "-q"], dvc("init", "-q"), dvc("repro", "-q")):
        run(command, place)
    return place


def review_figures(folder: Path, source: Path, rounds: int) -> list[Figure]:
    """Compare on the reviews, and report the memory of the run through DVC."""
    pipeline, single = both_ways(folder, "reviews", rounds, source)
    tree, process = max(cost.tree_mb for cost in pipeline), max(cost.process_mb for cost in pipeline)
    return [
        *ratios("dvc repro / one process, 50,000 reviews", 1.3, pipeline, single),
        Figure("peak memory on the reviews, all processes", 2000, tree, "MB", f"resident, every {SAMPLE_S} s"),
        Figure("peak memory on the reviews, largest process", 2000, process, "MB", "resident"),
    ]


def both_ways(folder: Path, name: str, rounds: int, source: Path | None) -> tuple[list[Cost], list[Cost]]:
    """Run the pipeline from scratch through DVC and in one process, in turn, each in a fresh clone."""
    pipeline: list[Cost] = []
    single: list[Cost] = []
    ways = (("dvc", dvc("repro"), pipeline), ("one", [sys.executable, str(ONE_PROCESS)], single))
    for number in range(1, rounds + 1):
        for way, command, costs in ways:
            place = clone(folder / f"{name}-{way}", source)
            costs.append(run(command, place))
            _say(f"{name} round {number}, {way}: {costs[-1].wall_s:.1f} s wall, {costs[-1].cpu_s:.1f} s CPU")
            shutil.rmtree(place)
    return pipeline, single


def ratios(name: str, target: float, ours: Sequence[Cost], least: Sequence[Cost]) -> list[Figure]:
    """Return the ratio of medians by CPU and by wall clock."""
    rows = []
    for word, kind in (("cpu_s", "CPU"), ("wall_s", "wall")):
        one, other = (median(getattr(cost, word) for cost in costs) for costs in (ours, least))
        rows.append(Figure(f"{name}, {kind}", target, round(one / other, 2), "x", f"{one:.2f} s / {other:.2f} s"))
    return rows


def clone(place: Path, source: Path | None) -> Path:
    """Clone the last commit with its bytecode compiled, and no cache, output or tracking store."""
    subprocess.run(["git", "clone", "--quiet", ROOT, place], check=True)
    if source:
        subprocess.run(
            [sys.executable, "-m", "lockstep", "use", "sentiment", "--force", "--source", source],
            cwd=place, env=environment(place) | {"PYTHONPATH": "src"}, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    subprocess.run([sys.executable, "-m", "compileall", "-q", "src"], cwd=place, check=True)
    return place


def dvc(*words: str) -> list[str]:
    """Return a command of the DVC that stands beside this Python."""
    return [str(Path(sys.executable).parent / "dvc"), *words]


def environment(place: Path) -> dict[str, str]:
    """Return an environment that finds this Python first and tracks in the clone alone."""
    environment = {name: value for name, value in os.environ.items() if name not in (*UNSET, "PYTHONDONTWRITEBYTECODE")}
    return environment | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(place.parent / "dvc-site"),
    }


def run(command: Sequence[str], place: Path) -> Cost:
    """Run a command to its end and return what it took.

    Raises
    ------
    SystemExit
        The command failed; its output is printed.
    """
    with tempfile.TemporaryFile("w+") as output:
        started = perf_counter()
        process = subprocess.Popen(command, cwd=place, env=environment(place), stdout=output, stderr=subprocess.STDOUT)
        memory = _Memory(process.pid)
        _, status, used = os.wait4(process.pid, 0)
        wall_s = perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        tree_mb = memory.stop()
        if process.returncode:
            output.seek(0)
            sys.exit(f"{' '.join(command)} failed\n{output.read()}")
    process_mb = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MB
    return Cost(wall_s, used.ru_utime + used.ru_stime, round(process_mb), max(round(tree_mb), round(process_mb)))


class _Memory:
    """The largest sum of resident sizes of a process and all it starts, looked at now and then."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            with suppress(psutil.Error):
                root = psutil.Process(self._pid)
                self._peak = max(self._peak, sum(map(_resident, [root, *root.children(recursive=True)])))

    def stop(self) -> float:
        self._ended.set()
        self._thread.join()
        return self._peak / MB


def _resident(process: psutil.Process) -> int:
    with suppress(psutil.Error):  # it ended since it was listed
        return int(process.memory_info().rss)
    return 0


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| what | target | measured | met | from |", "| --- | ---: | ---: | --- | --- |"]
    for figure in figures:
        target, measured = (f"{value:g} {figure.unit}" for value in (figure.target, figure.measured))
        met = "yes" if figure.met else "NO"
        lines.append(f"| {figure.name} | <= {target} | {measured} | {met} | {figure.detail} |")
    return "\n".join(lines)


def as_json(figures: Sequence[Figure]) -> str:
    """Return the figures as JSON."""
    return json.dumps([asdict(figure) | {"met": figure.met} for figure in figures], indent=2)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
