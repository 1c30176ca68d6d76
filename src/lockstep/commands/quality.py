"""Tell how good the answers were, by the labels that came back, beside what the evaluation promised.

Example: lockstep quality --json
"""

import argparse
import json

import msgspec

from lockstep.commands import drift
from lockstep.config.settings import Settings
from lockstep.drift.results import Interval, ModelState, QualityWindow
from lockstep.monitoring import live
from lockstep.runtime.terminal import print_table, visible

SHOWN = 10
add = drift.add


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Report on the windows of labels, newest first; low quality is an answer and not a failure."""
    snapshot = live.look(settings)
    model = live.model(snapshot, settings)
    drift.write_page(snapshot, arguments.html)
    if arguments.json:
        content = {"quality": msgspec.to_builtins(model.quality), "challenge": msgspec.to_builtins(model.challenge)}
        print(json.dumps(drift.told(snapshot, model, "quality") | content))
    else:
        _show(model)
    return 0


def _show(model: ModelState) -> None:
    if model.quality is None or not model.quality.windows:
        print(visible(f"{model.name}: no labels have come yet; POST /feedback takes them"))
        return
    quality = model.quality
    print(visible(f"{model.name}: {quality.metric} at the evaluation {_figure(quality.evaluation)}"))
    columns = ("version", "labels", f"{quality.metric} (95 %)", "delay", "verdict")
    print_table(columns, (map(visible, _cells(window)) for window in quality.windows[:SHOWN]))
    if model.challenge:
        print(visible(f"challenger {model.challenge.challenger}: {model.challenge.verdict}"))


def _cells(window: QualityWindow) -> tuple[object, ...]:
    delay = "" if window.delay_s is None else f"{window.delay_s / 3600:.1f} h"
    return window.version, window.labels, _figure(window.metric), delay, window.verdict


def _figure(interval: Interval | None) -> str:
    return f"{interval.value:.4g} ({interval.low:.4g} to {interval.high:.4g})" if interval else "unknown"
