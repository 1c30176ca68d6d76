"""Run every available example in a clean copy of the project and print its metrics and run time.

    python -m scripts.example_figures [--init] [--data DIR] [NAME ...]

The output is the table of docs/measurements/examples.md; with `--init`, `lockstep init` writes the params.yaml, not
a person. Files tracked by git are used with their uncommitted changes.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from lockstep import files, paths
from lockstep.commands.verify import clean_copy
from lockstep.config import params_file
from scripts.ready_examples import selected_examples

HEAD = "| example | train / test rows | best trial | metric on the test rows | 95 % interval | gate | time |"


def main(words: Sequence[str]) -> None:
    """Print a Markdown table, one row an example."""
    print(HEAD, "| --- | ---: | --- | --- | --- | --- | ---: |", sep="\n", flush=True)
    by_init = "--init" in words
    for name, source in selected_examples([word for word in words if word != "--init"], __doc__):
        print(figures(name, source, by_init), flush=True)


def figures(name: str, source: str, by_init: bool) -> str:
    """Run the stages up to the evaluation and return the example's row."""
    bin_folder = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": "src"}
    chosen = _init(name, source) if by_init else ("use", name, "--source", source)
    commands: tuple[list[str | Path], ...] = (
        ["git", "init", "--quiet"],
        [sys.executable, "-m", "lockstep", *chosen, "--force"],
        [bin_folder / "dvc", "repro", "--force", "--no-run-cache", "model_evaluation"],
    )
    with clean_copy() as copy:
        started = perf_counter()
        for command in commands:
            subprocess.run(command, cwd=copy, env=environment, stdout=sys.stderr, check=True)
        return row(name, copy, perf_counter() - started)


def _init(name: str, source: str) -> tuple[str, ...]:
    target = params_file.load(paths.EXAMPLES / f"{name}.yaml").data_preprocessing.target
    return "init", source, "--target", target


def row(name: str, copy: Path, took_s: float) -> str:
    """Read the reports of a finished copy and return them as a row of the table."""
    data, search, measured, gate = (
        files.read_json(copy / path) for path in (paths.DATA_REPORT, paths.SEARCH, paths.METRICS, paths.GATE)
    )
    best, metric = search["trials"][search["best"]], search["metric"]
    low, high = measured["interval_95"][metric]
    chosen = ", ".join(f"{key} {value}" for key, value in best["params"].items())
    cells = (
        name,
        f"{data['train_rows']:,} / {data['test_rows']:,}",
        f"{best['estimator']}{f' ({chosen})' if chosen else ''}",
        f"{metric} {measured[metric]:.4f}",
        f"{low:.4f} to {high:.4f}",
        "passed" if gate["passed"] else "refused",
        f"{took_s:.0f} s",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main(sys.argv[1:])
