"""Write the tables of docs/measurements/drift.md: false alarms and power of each drift rule.

    python -m scripts.drift_figures [--data DIR] [--runs 200] [--print] [NAME ...]

NAME is an example whose rows are at hand. With --print, or names, the tables are printed and no page is written. Seeds
are fixed, so that the same rows give the same figures.
"""

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from lockstep import paths
from lockstep.config import params_file
from lockstep.drift import detect, hypothesis_tests, sequential_test
from lockstep.drift.detect import RowWindow
from lockstep.drift.numeric_baseline import Floats, NumericBaseline, finite
from lockstep.drift.profile import Profile
from scripts.drift_windows import SEED, Pool, draw, drawn_profile, label_shift, prepare, tilt, window

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "measurements" / "drift.md"
HEAD = ("data", "rule", "quiet, 200", "quiet, 500", "broken, 200", "tilt, 200", "tilt, 500", "labels, 200")
BINS = 10


def main(words: Sequence[str]) -> None:
    """Measure every rule on every example at hand."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", metavar="DIR", help="their files")
    parser.add_argument("--runs", type=int, default=200, help="windows behind each figure (default: 200)")
    parser.add_argument("--print", action="store_true", help="write no page")
    parser.add_argument("names", nargs="*", metavar="NAME", help="examples (default: all)")
    given = parser.parse_args(words)
    names = given.names or ["breast-cancer", "iris", "housing", "sentiment", "toxicity"]
    rows = [row for name in names for row in example(name, given.data, given.runs)]
    tables = {"drift": table(HEAD, rows), "compare": table(COMPARE_HEAD, list(comparisons(2 * given.runs)))}
    if given.print or given.names:
        print(*tables.values(), sep="\n")
    else:
        fill(PAGE, tables)


def example(name: str, data: Path, runs: int) -> Iterator[Sequence[str]]:
    """Yield a row a rule for one example; none if its rows are not here."""
    params = params_file.load(ROOT / paths.EXAMPLES / f"{name}.yaml")
    source = params.data_ingestion.named
    if not source.startswith("sklearn:"):
        place = data.resolve() / Path(source).name
        if not place.is_file():
            print(f"SKIPPED {name}: {place.name} is not in {data}", file=sys.stderr)
            return
        source = str(place)
    ingestion = params.data_ingestion.model_copy(update={"source": source})
    started = perf_counter()
    pool = prepare(name, params.model_copy(update={"data_ingestion": ingestion}))
    seen = [rates(pool, scenario, rows, runs, RULES) for scenario, rows in SCENARIOS]
    for rule in RULES:
        yield name, rule, *(f"{100 * each[rule]:.1f} %" for each in seen)
    print(f"{name}: {perf_counter() - started:.0f} s", file=sys.stderr)


Scenario = Callable[[Pool, int, str, np.random.Generator], RowWindow]


Rules = Mapping[str, Callable[[Profile, RowWindow], bool]]


def rates(pool: Pool, scenario: Scenario, rows: int, runs: int, rules: Rules) -> dict[str, float]:
    """Return the share of windows in which each rule sees an alarm; the column that moves is each in turn."""
    random = np.random.default_rng([SEED, rows])
    alarms = dict.fromkeys(rules, 0)
    columns = [name for name, kind in pool.kinds.items() if kind != "categorical"]
    for _, column in zip(range(runs), itertools.cycle(columns), strict=False):
        profile = drawn_profile(pool, random)
        drawn = scenario(pool, rows, column, random)
        for rule, sees in rules.items():
            alarms[rule] += sees(profile, drawn)
    return {rule: count / runs for rule, count in alarms.items()}


def quiet(pool: Pool, rows: int, column: str, random: np.random.Generator) -> RowWindow:
    """Draw a window in which nothing has changed."""
    return window(pool, draw(pool, rows, random))


def broken(pool: Pool, rows: int, column: str, random: np.random.Generator) -> RowWindow:
    """Draw a window with one column times 2, or its texts cut in half."""
    return window(pool, draw(pool, rows, random), column)


def tilted(pool: Pool, rows: int, column: str, random: np.random.Generator) -> RowWindow:
    """Draw a window whose rows favour high values of one column, by 0.4 SD."""
    return window(pool, draw(pool, rows, random, tilt(pool, column)))


def relabelled(pool: Pool, rows: int, column: str, random: np.random.Generator) -> RowWindow:
    """Draw a window in which the commonest label is rarer by 25 points."""
    return window(pool, draw(pool, rows, random, label_shift(pool)))


SCENARIOS: tuple[tuple[Scenario, int], ...] = (
    (quiet, 200),
    (quiet, 500),
    (broken, 200),
    (tilted, 200),
    (tilted, 500),
    (relabelled, 200),
)


def ours(profile: Profile, drawn: RowWindow) -> bool:
    """Decide as the product does."""
    return detect.measure(profile, drawn).verdict == "alarm"


def compared(profile: Profile, drawn: RowWindow) -> Iterator[tuple[NumericBaseline, Floats]]:
    """Yield baseline and values of the numbers that other rules look at: columns, lengths, unknown words, score."""
    for feature in profile.features:
        if feature.numbers:
            yield feature.numbers, finite(drawn.columns[feature.name])
        if feature.text:
            texts = [feature.text.words.read(text) for text in drawn.columns[feature.name]]
            yield feature.text.length, np.asarray([float(len(words)) for words in texts])
            yield feature.text.unknown, np.asarray(feature.text.words.unknown(texts))
    yield profile.score, drawn.scores


def psi(baseline: NumericBaseline, values: Floats) -> float:
    """Return the population stability index over the baseline's deciles, empty bins counted as half a row."""
    edges = np.unique(baseline.points[np.searchsorted(baseline.shares[1], np.arange(1, BINS) / BINS)])
    then = np.diff(baseline.up_to(edges), prepend=0, append=1)
    now = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1) / len(values)
    then, now = np.maximum(then, 0.5 / baseline.rows), np.maximum(now, 0.5 / len(values))
    return float(((now - then) * np.log(now / then)).sum())


def ks_ps(profile: Profile, drawn: RowWindow) -> list[float]:
    """Return the p of each Kolmogorov-Smirnov test."""
    return [hypothesis_tests.kolmogorov_smirnov(*pair)[1] for pair in compared(profile, drawn)]


RULES: Rules = {
    "Lockstep": ours,
    "PSI > 0.2 on any": lambda profile, drawn: any(psi(*pair) > 0.2 for pair in compared(profile, drawn)),
    "KS p < 0.05 on any": lambda profile, drawn: min(ks_ps(profile, drawn)) < 0.05,
    "mean of KS p < 0.05": lambda profile, drawn: float(np.mean(ks_ps(profile, drawn))) < 0.05,
}

COMPARE_HEAD = (
    "answers compared",
    "accuracies",
    "labels needed",
    "seen by then",
    "equal versions called different",
)
ACCURACIES = ((0.90, 0.92), (0.95, 0.97))
DISAGREE = 0.06
LONGEST = 20_000


def comparisons(runs: int) -> Iterator[Sequence[str]]:
    """Yield a row for each way to compare two versions: simulated labels, looked at every 100."""
    random = np.random.default_rng(SEED)
    for before, after in ACCURACIES:
        for share in (0, 50, 10):
            needed = sequential_test.labels_needed(variance(before, after, share), after - before)
            called = [first_call(random, (before, after), share, needed) > 0 for _ in range(runs)]
            false = [first_call(random, (after, after), share, LONGEST) != 0 for _ in range(runs)]
            way = f"{share} % of the traffic" if share else "both on each row (shadow)"
            figures = f"{needed:,}", f"{np.mean(called):.1%}", f"{np.mean(false):.1%} of {runs}, in {LONGEST:,} labels"
            yield way, f"{before:.0%}, {after:.0%}", *figures


def variance(before: float, after: float, share: int) -> float:
    """Return the variance of one label in the comparison."""
    if share == 0:
        return DISAGREE - (after - before) ** 2
    part = share / 100
    mean = before * (1 - part) + after * part
    return mean * (1 - mean) / (1 - part) + mean * (1 - mean) / part


def first_call(random: np.random.Generator, accuracies: tuple[float, float], share: int, labels: int) -> int:
    """Simulate labels and say what the first look that decides says: 1 the challenger, -1 Production, 0 none."""
    before, after = accuracies
    if share == 0:  # 6 % of the rows are answered rightly by one of the two only
        better = (DISAGREE + after - before) / 2
        drawn = random.random(labels)
        first = (drawn < better).astype(float)
        second = ((drawn >= better) & (drawn < DISAGREE)).astype(float)
        looks = sequential_test.paired(first, second)
    else:
        challenged = random.random(labels) < share / 100
        wrong = (random.random(labels) < np.where(challenged, 1 - after, 1 - before)).astype(float)
        at = np.arange(labels)
        looks = sequential_test.unpaired((wrong[~challenged], wrong[challenged]), (at[~challenged], at[challenged]))
    low, high = sequential_test.bounds(looks, 0.02, 0.05)
    decided = np.flatnonzero((low > 0) | (high < 0))
    return 0 if not len(decided) else 1 if low[decided[0]] > 0 else -1


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def fill(page: Path, tables: Mapping[str, str]) -> None:
    """Put each table between its markers."""
    text = page.read_text(encoding="utf-8")
    for name, content in tables.items():
        start, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        head, rest = text.split(start)
        text = f"{head}{start}{content}{end}{rest.split(end)[1]}"
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
