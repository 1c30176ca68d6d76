"""Show who moved Production, when, from which commit, and why.

Example: lockstep history --json
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict

from lockstep import decision as decisions
from lockstep.config.settings import Settings, model_name
from lockstep.registry import tracking
from lockstep.registry.history import Event
from lockstep.registry.model_registry import Registry
from lockstep.runtime.terminal import visible


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="the newest N only (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the moves of Production and the refusals, newest first."""
    name = model_name(settings)
    registry = Registry(tracking.connect(settings), name)
    production = registry.production()
    serving = production.version if production else None
    events = registry.history()
    events = events[: arguments.limit] if arguments.limit > 0 else events
    if arguments.json:
        print(json.dumps({"model": name, "production": serving, "events": [asdict(event) for event in events]}))
    else:
        _show(name, serving, events)
    return 0


def _show(name: str, serving: str | None, events: list[Event]) -> None:
    print(f"{name}: Production is version {serving}" if serving else f"{name}: nothing is in Production yet")
    for event in events:
        action = f"{event.action} (forced)" if event.forced else event.action
        origin = f"commit {event.git_commit[:7] or '-'}, data {event.data_digest[:7] or '-'}"
        when = event.at[:19].replace("T", " ")
        print(visible(f"{when}  {action} version {event.version} (before: {event.previous or 'none'}), {origin}"))
        print(visible(f"                     by {event.actor}: {event.reason or 'no reason given'}"))
        for line in _answers(event):
            print(visible(f"                     {line}"))


def _answers(event: Event) -> Iterator[str]:
    """Yield what the gate had answered to this move, where that was kept."""
    decision = decisions.read(event.decision)
    if decision is None:
        return
    beside = f"{decision.verdict} beside version {decision.against}; " if decision.verdict else ""
    failed = [check.name for check in decision.checks if not check.passed]
    verdict = f"refused by {', '.join(failed)}" if failed else "all passed"
    yield f"gate: {beside}{len(decision.checks)} checks, {verdict}"
