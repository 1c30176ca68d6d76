"""Tell whether live traffic is still like the rows of training, feature by feature.

Example: lockstep drift --json
"""

import argparse
import json
from pathlib import Path
from typing import Any

import msgspec

from lockstep import files
from lockstep.config.settings import Settings
from lockstep.drift.results import DriftWindow, FeatureDrift, ModelState, Snapshot
from lockstep.monitoring import live
from lockstep.pages import monitoring
from lockstep.runtime.terminal import print_table, visible

SHOWN = 15  # Features in the table for people, those that moved most first.


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON for a program")
    parser.add_argument(
        "--html", type=lambda text: Path(text).absolute(), metavar="FILE", help="write the whole report as one page"
    )


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Report on the windows of predictions, newest first; an alarm is an answer and not a failure."""
    snapshot = live.look(settings)
    model = live.model(snapshot, settings)
    write_page(snapshot, arguments.html)
    if arguments.json:
        print(json.dumps(told(snapshot, model, "drift") | {"windows": msgspec.to_builtins(model.drift)}))
    else:
        _show(model)
    return 0


def write_page(snapshot: Snapshot, to: Path | None) -> None:
    """Write the report on all models as one page, if that was asked for."""
    if to:
        files.write_bytes(monitoring.html(snapshot).encode(), to)


def told(snapshot: Snapshot, model: ModelState, kind: str) -> dict[str, Any]:
    """Return what a program is told of a model besides the windows."""
    open_alerts = [item for item in snapshot.alerts if (item.model, item.kind, item.closed) == (model.name, kind, None)]
    return {
        "model": model.name,
        "version": model.production.version if model.production else None,
        "at": snapshot.at,
        "alerts": msgspec.to_builtins(open_alerts),
    }


def _show(model: ModelState) -> None:
    version = model.production.version if model.production else ""
    windows = [window for window in model.drift if window.version == version]
    if not windows:
        print(visible(f"{model.name}: no predictions of a version with a profile are in the log yet"))
        return
    newest = windows[0]
    print(visible(f"{model.name} version {version}: {newest.verdict} over {newest.rows} predictions"))
    alarms = sum(window.verdict == "alarm" for window in windows)
    print(f"{alarms} of the last {len(windows)} windows are alarms")
    if newest.features:
        _print_table(newest)


def _print_table(window: DriftWindow) -> None:
    moved = sorted(window.features, key=lambda feature: (not feature.alarm, -(feature.effect or 0.0)))
    listed = [*([window.score] if window.score else []), *moved[:SHOWN]]
    columns = ("feature", "test", "effect", "q", "missing", "alarm", "notes")
    print_table(columns, (map(visible, _cells(feature)) for feature in listed))
    if len(moved) > SHOWN:
        print(f"and {len(moved) - SHOWN} more: --json tells all")


def _cells(feature: FeatureDrift) -> tuple[str, ...]:
    effect = "" if feature.effect is None else f"{feature.effect:.3f}"
    q = feature.q if feature.q is not None else feature.p
    notes = [*feature.notes, *(f"new: {name}" for name in feature.new_categories)]
    figures = (effect, "" if q is None else f"{q:.2g}", f"{feature.missing:.1%}")
    return feature.name, feature.test, *figures, "yes" if feature.alarm else "", "; ".join(notes)
