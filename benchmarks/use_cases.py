"""Measure what nothing to do costs with many models in one project, relative to one model.

    python -m benchmarks.use_cases [--models N] [--rounds N]

CPU time of `scripts/repro`, which `make repro` calls, and of `dvc repro --all-pipelines`; medians. The exit code is 1
if the first costs more than three times as much with all models as with one.
"""

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.pipeline import clone, dvc, run

LIMIT = 3.0
FIRST = "m01"
COMMANDS = {"scripts/repro": ["scripts/repro"], "dvc repro --all-pipelines": dvc("repro", "--all-pipelines")}
LOCKSTEP = str(Path(sys.executable).parent / "lockstep")


def main(words: Sequence[str]) -> int:
    """Measure with one model and with all, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=30, help="models beside that of the root (default 30)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each command (default 3)")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as folder:
        project = clone(Path(folder) / "project", source=None)
        write_table(project.parent / "table.csv")
        run([LOCKSTEP, "init", "../table.csv", "--target", "y", "--force", "--git"], project)
        run(COMMANDS["scripts/repro"], project)
        one = measure(project, arguments.rounds)
        add_models(project, arguments.models)
        many = measure(project, arguments.rounds)
    print(f"| command | 1 model | {arguments.models + 1} models | ratio |\n| --- | ---: | ---: | ---: |")
    for name in COMMANDS:
        print(f"| `{name}` | {one[name]:.3f} s | {many[name]:.3f} s | {many[name] / one[name]:.1f} |")
    return int(many["scripts/repro"] > LIMIT * one["scripts/repro"])


def measure(project: Path, rounds: int) -> dict[str, float]:
    """Return the CPU time of each command with nothing to do."""
    return {name: median(run(command, project).cpu_s for _ in range(rounds)) for name, command in COMMANDS.items()}


def write_table(path: Path) -> None:
    """Write a small table of two classes."""
    draw = random.Random(1)
    points = [(draw.gauss(0, 1), draw.gauss(0, 1)) for _ in range(200)]
    rows = [f"{x:.3f},{y:.3f},{'yes' if x + y + draw.gauss(0, 0.3) > 0 else 'no'}" for x, y in points]
    path.write_text("\n".join(["a,b,y", *rows, ""]))


def add_models(project: Path, number: int) -> None:
    """Train one use case, and make the others of it: each with files, lock and record of its last run of its own."""
    run([LOCKSTEP, "init", "../table.csv", "--target", "y", "--name", FIRST, "--git"], project)
    run(dvc("repro", f"usecases/{FIRST}/dvc.yaml"), project)
    names = [f"m{place:02}" for place in range(2, number + 1)]
    for name in names:
        shutil.copytree(project / "usecases" / FIRST, project / "usecases" / name)
        for file in ("params.yaml", "dvc.lock", "models/registered.json"):
            path = project / "usecases" / name / file
            text = path.read_text()
            path.unlink()  # it may be a link into the cache
            path.write_text(text.replace(FIRST, name))
    run(dvc("commit", "--force", *(f"usecases/{name}/dvc.yaml" for name in names)), project)
    stand_in = project.parent / "promoted" / "lockstep"
    stand_in.parent.mkdir()
    stand_in.write_text("#!/bin/sh\n")  # promotions cost minutes, and what is measured is whether they are left out
    stand_in.chmod(0o755)
    run(["sh", "-c", f'PATH="{stand_in.parent}:$PATH" scripts/repro'], project)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
