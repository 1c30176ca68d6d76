"""Measure how time and memory of the first three stages grow with the rows: 50 thousand, 500 thousand, 5 million.

    python benchmarks/scale.py [--rows N ...] [--docs] [--json]

The rows are synthetic: 20 columns of Parquet with numbers, categories, dates and missing values. Each stage runs in its
own process, whose peak memory the system reports at exit. With --docs the figures go to docs/measurements/scale.md.
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "measurements" / "scale.md"
STAGES = ("data_ingestion", "data_preprocessing", "feature_engineering")
SIZES = (50_000, 500_000, 5_000_000)
START_ROWS = 1_000
"""So few rows cost nothing: what a stage takes for them is its start, which is subtracted from the others."""

MOST_GB = 8.0
MOST_SLOPE = 1.0
PIECE = 250_000
SEED = 7
LEVELS = {"region": 6, "product": 40, "channel": 12, "shop": 120}
GB = 1e9
PARAMS = """data_ingestion: {source: data/external/scale.parquet}
data_preprocessing: {target: returned}
feature_engineering: {categorical: {unknown: ignore}}
model_building: {candidates: [{estimator: logistic_regression}]}
model_evaluation: {}
register_model: {model_name: scale}
"""


@dataclass(frozen=True)
class Cost:
    """What one stage took on so many rows: seconds of wall clock and of CPU, and peak resident memory in GB."""

    stage: str
    rows: int
    wall_s: float
    cpu_s: float
    peak_gb: float


def main(words: Sequence[str]) -> None:
    """Measure every size, print a table or JSON, and write the page with --docs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rows", type=int, nargs="+", default=list(SIZES), metavar="N", help="how many rows, each size"
    )
    parser.add_argument("--docs", action="store_true", help="write docs/measurements/scale.md")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(words)
    costs = []
    for rows in (START_ROWS, *arguments.rows):
        with tempfile.TemporaryDirectory(prefix="lockstep-scale-") as folder:
            costs += measured(Path(folder), rows)
    if arguments.docs:
        PAGE.write_text(page(costs), encoding="utf-8")
    print(json.dumps([asdict(cost) for cost in costs], indent=2) if arguments.json else table(costs))


def measured(place: Path, rows: int) -> list[Cost]:
    """Run the first stages on so many rows, in a folder of their own."""
    (place / "data" / "external").mkdir(parents=True)
    (place / "params.yaml").write_text(PARAMS, encoding="utf-8")
    write_rows(place / "data" / "external" / "scale.parquet", rows)
    costs = []
    for stage in STAGES:
        costs.append(run(stage, place, rows))
        _say(f"{rows:>9,} rows, {stage}: {costs[-1].wall_s:.1f} s, {costs[-1].peak_gb:.2f} GB")
    return costs


def write_rows(path: Path, rows: int) -> None:
    """Write made-up rows piece by piece, the same ones for the same number."""
    random = np.random.default_rng(SEED)
    writer = None
    for start in range(0, rows, PIECE):
        piece = made_up(random, min(PIECE, rows - start))
        writer = writer or pq.ParquetWriter(path, piece.schema)
        writer.write_table(piece)
    if writer:
        writer.close()


def made_up(random: np.random.Generator, rows: int) -> pa.Table:
    """Return rows of 19 features and a target that some of them bear on."""
    columns: dict[str, Any] = {}
    hidden = random.normal(size=rows)
    for number in range(8):
        columns[f"measure_{number}"] = _with_missing(random, hidden * number / 8 + random.normal(size=rows), number)
    columns["price"] = np.round(np.exp(3 + 0.7 * random.normal(size=rows)), 2)
    columns["weight"] = np.round(random.gamma(2.0, 3.0, rows), 3)
    for name, most in (("items", 9), ("visits", 400), ("age", 90)):
        columns[name] = random.integers(0, most, rows)
    for name, levels in LEVELS.items():
        drawn = np.minimum(random.zipf(1.3, rows), levels) - 1
        columns[name] = pa.DictionaryArray.from_arrays(
            pa.array(drawn.astype(np.int32), mask=random.random(rows) < 0.02),
            pa.array([f"{name} {level:03}" for level in range(levels)]),
        ).dictionary_decode()
    days = np.datetime64("2020-01-01") + random.integers(0, 2000, rows).astype("timedelta64[D]")
    columns["ordered"] = pa.array(days.astype("datetime64[us]"), mask=random.random(rows) < 0.01)
    seconds = random.integers(0, 86_400 * 30, rows).astype("timedelta64[s]")
    columns["delivered"] = pa.array(days.astype("datetime64[s]").astype("datetime64[us]") + seconds)
    columns["returned"] = np.where(hidden + random.normal(size=rows) > 1, "yes", "no")
    return pa.table(columns)


def _with_missing(random: np.random.Generator, values: Any, number: int) -> Any:
    return pa.array(values, mask=random.random(len(values)) < 0.05) if number % 3 == 0 else values


def run(stage: str, place: Path, rows: int) -> Cost:
    """Run one stage to its end.

    Raises
    ------
    SystemExit
        The stage failed; its output is printed.
    """
    command = [sys.executable, str(ROOT / "src" / f"{stage}.py")]
    settings = {"PYTHONPATH": str(ROOT / "src"), "LOCKSTEP_STATE": str(place / ".lockstep")}
    with tempfile.TemporaryFile("w+") as output:
        started = perf_counter()
        process = subprocess.Popen(
            command, cwd=place, env=os.environ | settings, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        wall_s = perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.exit(f"{stage} failed on {rows} rows\n{output.read()}")
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / GB
    return Cost(stage, rows, round(wall_s, 2), round(used.ru_utime + used.ru_stime, 2), round(peak, 2))


def growth(costs: Sequence[Cost]) -> dict[str, float]:
    """Return by which power of the rows the CPU time of all three stages grows, as it is and without its start.

    The power is the slope of the least-squares line through log(seconds) over log(rows) (n >= 2 sizes). What the fewest
    rows take is the start; without it only the two largest sizes count, since of the others it is nearly all.
    """
    together: dict[int, float] = {}
    for cost in costs:
        together[cost.rows] = together.get(cost.rows, 0.0) + cost.cpu_s
    (_, start), *rest = sorted(together.items())
    beyond = [(rows, max(seconds - start, 0.01)) for rows, seconds in rest[-2:]]
    return {"as it is": _slope(rest), "without its start, the two largest sizes": _slope(beyond)}


def _slope(points: Sequence[tuple[int, float]]) -> float:
    """Fit the power through (rows, seconds)."""
    if len(points) < 2:
        return math.nan
    rows, seconds = np.log(np.asarray(points, dtype=np.float64)).T
    return float(np.polyfit(rows, seconds, 1)[0])


def table(costs: Sequence[Cost]) -> str:
    """Return the costs as a Markdown table, and how they grow."""
    lines = ["| stage | rows | wall s | CPU s | peak GB |", "| --- | ---: | ---: | ---: | ---: |"]
    for stage in STAGES:
        for cost in (item for item in costs if item.stage == stage):
            lines.append(f"| {stage} | {cost.rows:,} | {cost.wall_s:.1f} | {cost.cpu_s:.1f} | {cost.peak_gb:.2f} |")
    peak = max(cost.peak_gb for cost in costs)
    lines += ["", "| what | target | measured | met |", "| --- | ---: | ---: | --- |"]
    lines.append(f"| peak memory of a stage | < {MOST_GB:g} GB | {peak:.2f} GB | {_met(peak < MOST_GB)} |")
    for name, power in growth(costs).items():
        met = _met(power <= MOST_SLOPE)
        lines.append(f"| power of the rows by which CPU time grows, {name} | <= {MOST_SLOPE:g} | {power:.2f} | {met} |")
    return "\n".join(lines)


def page(costs: Sequence[Cost]) -> str:
    """Return docs/measurements/scale.md."""
    return f"""# Scale

Written by `make bench-scale ARGS=--docs`, on {os.cpu_count()} processors with Python {platform.python_version()}.

The first three stages on made-up Parquet of 20 columns: 13 numbers, three of them with missing values, four categories
of 6 to 120 levels with missing values, two dates, and the target. Each stage is a process of its own; peak memory is
the largest resident size that the system saw of it. What the stages take for {START_ROWS:,} rows is their start: the
interpreter and its libraries. CPU seconds are those of user and system; the system's part grows where large arrays get
fresh memory each time. The wall clock also counts what else the machine did.

{table(costs)}

Model building comes after these stages; what it costs depends on the estimator and not on how rows are read.
"""


def _met(yes: bool) -> str:
    return "yes" if yes else "NO"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
