"""Report of the comparison: tables for the documentation, plot and JSON."""

import os
import platform
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.serving.environments import HERE, ROOT
from benchmarks.serving.figures import (
    BATCH,
    MEMORY_MB,
    START_S,
    Sample,
    Summary,
    Target,
    ratio,
    summarize,
    targets,
)
from benchmarks.serving.models import BATCH_ROWS, CASES
from benchmarks.serving.rounds import Settings, Start
from benchmarks.serving.sides import FLOOR, OURS, SIDES, TUNED, WORKERS

BLOCK = re.compile(r"(<!-- begin (\w+) -->\n)(.*?)(<!-- end \2 -->)", re.DOTALL)
PICTURE = """\
![requests per second and p99 of every side](serving.png)

The figures of every round: [serving.json](serving.json).
"""
Key = tuple[str, str, str]
"""Model, side, load."""


@dataclass(frozen=True)
class Results:
    """Everything that one run measured."""

    settings: Settings
    samples: Sequence[Sample]
    starts: Sequence[Start]
    notes: Sequence[str]

    @property
    def summaries(self) -> dict[Key, Summary]:
        """Each side under each load of each model, over the rounds."""
        grouped: dict[Key, list[Sample]] = {}
        for sample in self.samples:
            grouped.setdefault((sample.model, sample.side, sample.load), []).append(sample)
        return {key: summarize(samples) for key, samples in grouped.items()}

    @property
    def faults(self) -> list[str]:
        """What makes the run no fair comparison: sides that did not start, answers that were not right."""
        faults = [f"{start.model}, {start.side}: {start.failed}" for start in self.starts if start.failed]
        bad = {key: summary.bad for key, summary in self.summaries.items() if summary.bad}
        return faults + [f"{', '.join(key)}: {count} answers wrong, refused or lost" for key, count in bad.items()]


def blocks(results: Results) -> dict[str, str]:
    """Return the generated parts of the page by name."""
    summaries = results.summaries
    models = [name for name in CASES if any(key[0] == name for key in summaries)]
    return {
        "picture": PICTURE,
        "conditions": _conditions(results),
        "targets": table(("what", "load", "wanted", "plain", "tuned"), _verdicts(results, summaries)),
        "speed": "\n".join(_speed(name, summaries, results.settings) for name in models),
        "batches": table(("model", "side", "rows/s", "CPU ms/batch", "ours / theirs"), _batches(models, summaries)),
        "starts": table(("model", "side", "first answer", "PSS", "RSS", "processes"), _starts(results.starts)),
        "client": _client(summaries),
    }


def fill(page: str, contents: Mapping[str, str]) -> str:
    """Put the generated parts between their markers; the parts of others stay as they are."""
    return BLOCK.sub(lambda match: f"{match[1]}{contents.get(match[2], match[3])}{match[4]}", page)


def as_json(results: Results) -> dict[str, Any]:
    """Return all figures for a program: settings, every round without its single latencies, and the summaries."""
    rounds = [
        {name: value for name, value in asdict(sample).items() if name != "latencies_ms"} for sample in results.samples
    ]
    summaries = [
        dict(zip(("model", "side", "load"), key, strict=True)) | asdict(summary)
        for key, summary in results.summaries.items()
    ]  # fmt: skip
    return {
        "machine": machine(),
        "versions": versions(),
        "settings": asdict(results.settings),
        "notes": list(results.notes),
        "summaries": summaries,
        "starts": [asdict(start) for start in results.starts],
        "rounds": rounds,
    }


def machine() -> dict[str, Any]:
    """Say what this ran on, without its name."""
    info = Path("/proc/cpuinfo")
    models = re.findall(r"^model name\s*: (.*)$", info.read_text(), re.MULTILINE) if info.is_file() else []
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "commit": commit.stdout.strip(),
    }


def versions() -> dict[str, str]:
    """Return the pinned version of each side's own package, and of the server and libraries of ours."""
    versions = {name: version(name) for name in ("granian", "scikit-learn", "numpy", "pandas")}
    for name in ("mlflow", "bentoml", "mlserver", "fastapi"):
        pinned = re.search(rf"^{name}==(\S+)", (HERE / f"requirements-{name}.txt").read_text(), re.MULTILINE)
        versions[name] = pinned[1] if pinned else "?"
    return versions


def _conditions(results: Results) -> str:
    where, settings = machine(), results.settings
    names = ", ".join(f"{name} {number}" for name, number in versions().items())
    lines = [
        f"- {where['processor']}, {where['cores']} cores shared by server and load generator; Python {where['python']};"
        f" commit {where['commit']}.",
        f"- {names}.",
        f"- {WORKERS} workers on every side; {settings.rounds} rounds; {settings.seconds:g} s for each side, load and"
        f" round, after {settings.warm_s:g} s that do not count.",
    ]
    faults = results.faults or ["Every answer of every side was right."]
    return "".join(f"{line}\n" for line in lines + [f"- {note}" for note in (*results.notes, *faults)])


def _speed(model: str, summaries: Mapping[Key, Summary], settings: Settings) -> str:
    """Return the table of one model: at each number of connections speed, p99, processor time, and ours / theirs."""
    loads = [str(count) for count in settings.connections]
    head = ["side", *(f"{what}, {load}" for what in ("req/s", "p99 ms", "CPU ms", "ours / theirs") for load in loads)]
    ours = [summaries.get((model, OURS, load)) for load in loads]
    rows = []
    for name, side in SIDES.items():
        others = [summaries.get((model, name, load)) for load in loads]
        if any(others):
            columns = zip(*(_cells(*pair) for pair in zip(ours, others, strict=True)), strict=True)
            rows.append([side.title, *(cell for column in columns for cell in column)])
    return f"**{CASES[model].title}**\n\n{table(head, rows)}"


def _cells(ours: Summary | None, theirs: Summary | None) -> tuple[str, str, str, str]:
    """Return requests per second, p99, processor time for a request, and how many times faster ours is."""
    if theirs is None:
        return "-", "-", "-", "-"
    times = f"{_round(ratio(ours, theirs, 'speed'))} x" if ours and ours is not theirs else "-"
    return _round(theirs.per_second), _round(theirs.p99_ms), _round(theirs.cpu_ms), times


def _batches(models: Sequence[str], summaries: Mapping[Key, Summary]) -> Iterator[Sequence[str]]:
    for model in models:
        ours = summaries.get((model, OURS, BATCH))
        for name, side in SIDES.items():
            theirs = summaries.get((model, name, BATCH))
            if theirs:
                _, _, cpu_ms, times = _cells(ours, theirs)
                yield model, side.title, _round(BATCH_ROWS * theirs.per_second), cpu_ms, times


def _starts(starts: Sequence[Start]) -> Iterator[Sequence[str]]:
    for name in CASES:
        for start in sorted((one for one in starts if one.model == name), key=lambda one: list(SIDES).index(one.side)):
            came = f"{start.first_answer_s:.1f} s" if not start.failed else f"none: {start.failed}"
            held = f"{start.pss_mb:.0f} MB", f"{start.rss_mb:.0f} MB", str(start.processes)
            yield name, SIDES[start.side].title, came, *held


def _verdicts(results: Results, summaries: Mapping[Key, Summary]) -> Iterator[Sequence[str]]:
    """Yield each target with what was measured beside the plain side and beside the tuned one."""
    for target in targets([str(count) for count in results.settings.connections], FLOOR):
        ours = summaries.get((target.model, OURS, target.load))
        if ours and (target.model, target.against, target.load) in summaries:
            sides = (target.against, TUNED.get(target.against, ""))
            measured = [_measured(target, ours, summaries.get((target.model, side, target.load))) for side in sides]
            what = "p99, theirs / ours" if target.measure == "p99" else "requests/s, ours / theirs"
            load = "batches" if target.load == BATCH else f"{target.load} conn."
            yield f"{target.model}: {what}, {SIDES[target.against].title}", load, f"{target.factor:.2g} x", *measured
    for start in results.starts:
        if (start.model, start.side, start.failed) == ("tabular", OURS, ""):
            yield _limit("tabular: start to first answer", start.first_answer_s, START_S, "s")
            yield _limit("tabular: memory of two workers, PSS", start.pss_mb, MEMORY_MB, "MB")


def _measured(target: Target, ours: Summary, theirs: Summary | None) -> str:
    if theirs is None:
        return ""
    times = ratio(ours, theirs, target.measure)
    return f"{_round(times)} x{'' if times >= target.factor else ' MISSED'}"


def _limit(what: str, value: float, limit: float, unit: str) -> Sequence[str]:
    return what, "", f"<= {limit:g} {unit}", f"{value:.1f} {unit}{'' if value <= limit else ' MISSED'}", ""


def _client(summaries: Mapping[Key, Summary]) -> str:
    """Say what the load generator takes itself, at the floor, where it works hardest."""
    floors = {key[2]: summary for key, summary in summaries.items() if key[1] == FLOOR}
    if not floors:
        return ""
    rows = [
        (f"{count} conn.", _round(one.per_second), f"{100 * one.client_share:.0f} % of one core",
         f"{1e6 * one.client_share / one.per_second:.0f} us", f"{1000 * one.cpu_ms:.0f} us")
        for count, one in floors.items()
    ]  # fmt: skip
    return table(("load", "floor, req/s", "load generator", "its time per request", "the floor's"), rows)


def table(head: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _round(value: float) -> str:
    """Return a figure at three significant digits, without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
