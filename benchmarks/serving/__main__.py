"""Compare Lockstep with other model servers, and write the page, the plot and the JSON of the documentation.

    python -m benchmarks.serving [--quick] [--models tabular ...] [--sides lockstep ...] [--reviews PATH] [--resume]

With --quick, or with a selection of models or sides, nothing in docs/ changes: the result is printed, and stored
under .lockstep/bench/. The first run creates an environment for each side and trains the models, which takes minutes;
both are reused. With --resume the models that an interrupted run has finished are not measured again.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.serving import models, plot, report
from benchmarks.serving.environments import ROOT, STATE
from benchmarks.serving.figures import Sample
from benchmarks.serving.models import CASES
from benchmarks.serving.report import Results
from benchmarks.serving.rounds import Settings, Start, measure
from benchmarks.serving.sides import SIDES, TUNED

DOCS = ROOT / "docs" / "measurements"
PAGE = "serving.md"
FULL = Settings(connections=(1, 16, 64), rounds=3, seconds=1.5, warm_s=0.3, port=7000)
QUICK = Settings(connections=(1, 16), rounds=1, seconds=0.6, warm_s=0.2, port=7000)


def main(words: Sequence[str]) -> int:
    """Measure, write, and return 1 if a side did not start or an answer was not right."""
    arguments = _arguments(words)
    settings = _settings(arguments)
    sides = arguments.sides or [name for name in SIDES if not (arguments.quick and name in TUNED.values())]
    samples: list[Sample] = []
    starts: list[Start] = []
    notes: list[str] = []
    for name in arguments.models or CASES:
        model = models.prepare(CASES[name], arguments.reviews)
        notes += [f"{name}: {model.note}"] if model.note else []
        result_file = _place(name, sides, settings)
        if not (arguments.resume and result_file.is_file()):
            _keep(result_file, *measure(model, [SIDES[side] for side in sides], settings))
        one, other = _read_result(result_file)
        samples, starts = [*samples, *one], [*starts, *other]
    results = Results(settings, samples, starts, notes)
    official = not (arguments.quick or arguments.models or arguments.sides)
    _write(results, DOCS if official else STATE / "latest")
    print(*(f"FAULT: {fault}" for fault in results.faults), sep="\n", end="", file=sys.stderr)
    return int(bool(results.faults))


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short round without the tuned sides, under 3 minutes")
    parser.add_argument("--models", nargs="+", choices=list(CASES), help="only these models")
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), help="only these sides")
    parser.add_argument("--connections", nargs="+", type=int, help="numbers of connections (default 1 16 64)")
    parser.add_argument("--rounds", type=int, help="rounds (default 3)")
    parser.add_argument("--seconds", type=float, help="seconds for each side, load and round (default 1.5)")
    parser.add_argument("--port", type=int, default=7000, help="first of a hundred ports to use (default 7000)")
    parser.add_argument("--reviews", type=Path, default=models.REVIEWS, metavar="PATH", help="imdb.csv.gz")
    parser.add_argument("--resume", action="store_true", help="keep what an interrupted run has measured")
    return parser.parse_args(words)


def _settings(arguments: argparse.Namespace) -> Settings:
    usual = QUICK if arguments.quick else FULL
    return Settings(
        connections=tuple(arguments.connections or usual.connections),
        rounds=arguments.rounds or usual.rounds,
        seconds=arguments.seconds or usual.seconds,
        warm_s=usual.warm_s,
        port=arguments.port,
    )


def _place(model: str, sides: Sequence[str], settings: Settings) -> Path:
    """Return where the result of a model is kept; other settings have another place."""
    key = json.dumps([model, list(sides), asdict(settings), report.machine()["commit"]])
    return STATE / "runs" / f"{model}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"


def _keep(path: Path, samples: Sequence[Sample], starts: Sequence[Start]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"samples": [asdict(sample) for sample in samples], "starts": [asdict(start) for start in starts]}
    path.write_text(json.dumps(content), encoding="utf-8")


def _read_result(path: Path) -> tuple[list[Sample], list[Start]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return [Sample(**one) for one in content["samples"]], [Start(**one) for one in content["starts"]]


def _write(results: Results, folder: Path) -> None:
    """Fill the page's tables, draw the plot, and put the JSON beside; then print the tables."""
    blocks = report.blocks(results)
    page = report.fill((DOCS / PAGE).read_text(encoding="utf-8"), blocks)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(page, encoding="utf-8")
    content = json.dumps(report.as_json(results), indent=1, sort_keys=True)
    (folder / "serving.json").write_text(f"{content}\n", encoding="utf-8")
    plot.draw(results.summaries, results.settings.connections, folder / "serving.png")
    print("\n".join(blocks.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
