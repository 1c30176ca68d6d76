"""Make a version Production, if the gate lets it.

Without --version it is the model in models/, registered now if it is not yet. --to challenger lets it be tried beside
Production; --from challenger ends that and promotes it. --dry-run asks the gate and moves nothing: exit code 1 says no.

Example: lockstep promote --reason "more training rows"
"""

import argparse
import json
import sys
from dataclasses import asdict

from lockstep.config import params_file
from lockstep.config.params import Params
from lockstep.config.settings import Settings
from lockstep.decision import Decision, GateRefused
from lockstep.errors import ConfigError
from lockstep.lifecycle import promotion
from lockstep.registry.history import Event


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--version", metavar="N", help="a registered version (default: the model in models/)")
    parser.add_argument("--from", dest="source", choices=("challenger",), help="the version that is tried there")
    parser.add_argument("--to", choices=("production", "challenger"), default="production", help="where it goes")
    parser.add_argument("--force", action="store_true", help="go against the gate; needs --reason, is shown for ever")
    parser.add_argument("--reason", default="", help="why, for the history")
    parser.add_argument("--dry-run", action="store_true", help="show what the gate says, and move nothing")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Promote, and say what serves now."""
    _check(arguments)

    params = params_file.load()
    request = promotion.PromotionRequest(
        arguments.version, arguments.to, arguments.force, arguments.reason, again=bool(arguments.version)
    )
    if arguments.dry_run:
        return _dry_run(params, settings, request, arguments.json)
    try:
        event = (promotion.promote_challenger if arguments.source else promotion.promote)(params, settings, request)
    except GateRefused as refused:
        if refused.decision and not arguments.json:
            show(refused.decision, to_stderr=True)
        raise
    name = params.register_model.model_name
    if arguments.json:
        print(json.dumps({"model": name, "to": arguments.to, **asdict(event)}))
    else:
        print(_told(name, arguments.to, event))
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.force and not arguments.reason.strip():
        raise ConfigError("--force needs --reason", "say why the gate is overruled: it stays on the record")
    if arguments.source and (arguments.version or arguments.to != "production" or arguments.dry_run):
        raise ConfigError(
            "--from challenger names the version and where it goes", "leave --version, --to and --dry-run out"
        )


def _dry_run(params: Params, settings: Settings, request: promotion.PromotionRequest, as_json: bool) -> int:
    case, decision = promotion.decide(params, settings, request)
    promotion.write(case, decision)
    version = case.version
    if as_json:
        print(json.dumps({"model": version.name, "version": version.version, **decision.to_json()}))
    else:
        show(decision)
        word = "would pass" if decision.passed else "would be refused"
        live = "; it is Production already" if case.is_live else ""
        print(f"{version.name} version {version.version} {word}{live}")
    return int(not decision.passed)


def _told(name: str, to: str, event: Event) -> str:
    """Say what serves now."""
    if event.action == "refused":
        return f"{event.reason}; {f'version {event.previous}' if event.previous else 'nothing'} stays in production"
    if to == "challenger":
        return f"{name} version {event.version} is the challenger now"
    if event.version == event.previous:
        return f"{name} version {event.version} is in {to} already"
    forced = ", forced" if event.forced else ""
    return f"{name} version {event.version} is in {to} now{forced} (before: {event.previous or 'none'})"


def show(decision: Decision, to_stderr: bool = False) -> None:
    """Print the checks of a decision as a table."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    stream = sys.stderr if to_stderr else sys.stdout
    console = Console(file=stream, width=None if stream.isatty() else 120)
    table = Table("check", "", "why", box=None, header_style="bold")
    for check in decision.checks:
        table.add_row(escape(check.name), "passed" if check.passed else "[bold red]refused[/]", escape(check.reason))
    console.print(table)
