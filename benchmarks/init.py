"""Measure `lockstep init` on a wide table of mixed cells beside what a person would run for a first look at it.

    python benchmarks/init.py [--rows 50000] [--columns 40] [--profile]

The other side reads the same file by `pandas.read_csv` and fits scikit-learn's histogram boosting five times on 10,000
rows of it. Both sides run in this process, in turn, three times; the figure is the ratio of their medians, which must
not be above 3.
"""

import argparse
import cProfile
import pstats
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from lockstep.autoconfig.inspect import InitOptions, survey
from lockstep.config.params import DataIngestion

ROUNDS, FITS, FITTED_ROWS, MOST_RATIO = 3, 5, 10_000, 3.0
WORDS = np.array(["red", "blue", "green", "house", "garden", "boat", "tall", "small", "old", "new"])


def main(words: Sequence[str]) -> int:
    """Print both times and their ratio; exit 1 if it is too high."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--columns", type=int, default=40)
    parser.add_argument("--profile", action="store_true", help="show where `init` spends its time, and measure nothing")
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mixed.csv"
        table(options.rows, options.columns).to_csv(path, index=False)
        if options.profile:
            profile(path)
            return 0
        sides: dict[str, Callable[[Path], object]] = {"init": init, "first look": first_look}
        seconds = {name: [_timed(run, path) for run in [side] * ROUNDS] for name, side in sides.items()}
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ratio = medians["init"] / medians["first look"]
    for name, times in seconds.items():
        print(f"{name:12} {medians[name]:6.1f} s   ({', '.join(f'{time:.1f}' for time in times)})")
    print(f"ratio        {ratio:6.2f}     (at most {MOST_RATIO:g})")
    return int(ratio > MOST_RATIO)


def table(rows: int, columns: int) -> pd.DataFrame:
    """Return mixed cells: numbers, money, percentages, decimal commas, dates, categories, codes, texts, odd words."""
    draw = np.random.default_rng(0)
    kinds = list(KINDS)
    cells = {f"{kinds[at % len(kinds)]}_{at}": KINDS[kinds[at % len(kinds)]](draw, rows) for at in range(columns - 1)}
    score = draw.normal(size=rows) + cells["number_0"].astype(float) / 50
    return pd.DataFrame(cells | {"y": np.where(score > 1, "yes", "no")})


def _odd(draw: np.random.Generator, cells: np.ndarray) -> np.ndarray:
    """Return cells of which one in 200 is odd and one in 50 empty."""
    chance = draw.random(len(cells))
    return np.where(chance < 0.005, "see note", np.where(chance < 0.025, "", cells))


def _texts(draw: np.random.Generator, rows: int) -> np.ndarray:
    return np.array([" ".join(words) for words in WORDS[draw.integers(0, len(WORDS), (rows, 8))]])


def _formatted(spell: str) -> Callable[[np.random.Generator, int], np.ndarray]:
    return lambda draw, rows: _odd(draw, np.array([spell.format(number) for number in draw.gamma(2, 900, rows)]))


def _comma(draw: np.random.Generator, rows: int) -> np.ndarray:
    return _odd(draw, np.array([f"{number:.2f}".replace(".", ",") for number in draw.normal(50, 9, rows)]))


def _days(spelled: str) -> Callable[[np.random.Generator, int], np.ndarray]:
    return lambda draw, rows: _odd(
        draw, (pd.Timestamp("2019-01-01") + pd.to_timedelta(draw.integers(0, 2000, rows), "D")).strftime(spelled)
    )


KINDS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "number": lambda draw, rows: draw.normal(50, 9, rows).round(3),
    "money": _formatted("${:,.2f}"),
    "category": lambda draw, rows: draw.choice(WORDS, rows),
    "percent": _formatted("{:.1f}%"),
    "day": _days("%d.%m.%Y"),
    "comma": _comma,
    "whole": lambda draw, rows: draw.integers(0, 10_000, rows),
    "code": lambda draw, rows: np.array([f"{code:05d}" for code in draw.integers(0, 60, rows) * 37]),
    "odd": lambda draw, rows: _odd(draw, draw.normal(50, 9, rows).round(2).astype(str)),
    "text": _texts,
}


def init(path: Path) -> None:
    """Look at the table as `lockstep init` does."""
    survey(DataIngestion(source=str(path)), InitOptions(target="y"))


def first_look(path: Path) -> None:
    """Read the table by pandas and fit histogram boosting five times on its numbers and codes of its texts."""
    frame = pd.read_csv(path)
    rows = frame.sample(min(FITTED_ROWS, len(frame)), random_state=0)
    matrix = rows.drop(columns="y").apply(
        lambda values: values if pd.api.types.is_numeric_dtype(values) else pd.factorize(values)[0]
    )
    for seed in range(FITS):
        HistGradientBoostingClassifier(random_state=seed).fit(matrix, rows["y"])


def profile(path: Path) -> None:
    """Print the functions in which `init` spends most time."""
    profiler = cProfile.Profile()
    profiler.runcall(init, path)
    pstats.Stats(profiler).sort_stats("cumulative").print_stats(60)


def _timed(run: Callable[[Path], object], path: Path) -> float:
    started = perf_counter()
    run(path)
    return perf_counter() - started


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
