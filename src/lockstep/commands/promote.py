"""Make a version Production, if the gate lets it.

Without --version it is the model in models/, registered now if it is not yet. --to challenger lets it be tried beside
Production; --from challenger ends that and promotes it.

Example: lockstep promote --reason "more training rows"
"""

import argparse
import json
from dataclasses import asdict

from lockstep import config
from lockstep.config import Settings
from lockstep.errors import ConfigError


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--version", metavar="N", help="a registered version (default: the model in models/)")
    parser.add_argument("--from", dest="source", choices=("challenger",), help="the version that is tried there")
    parser.add_argument("--to", choices=("production", "challenger"), default="production", help="where it goes")
    parser.add_argument("--force", action="store_true", help="go against the gate; needs --reason, is on the record")
    parser.add_argument("--reason", default="", help="why, for the history")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Promote, and say what serves now."""
    if arguments.force and not arguments.reason:
        raise ConfigError("--force needs --reason", "say why the gate is overruled: it stays on the record")
    if arguments.source and (arguments.version or arguments.to != "production"):
        raise ConfigError("--from challenger names the version and where it goes", "leave --version and --to out")
    from lockstep import promotion

    params = config.load()
    wish = promotion.Wish(arguments.version, arguments.to, arguments.force, arguments.reason)
    event = (promotion.promote_challenger if arguments.source else promotion.promote)(params, settings, wish)
    name = params.register_model.model_name
    if arguments.json:
        print(json.dumps({"model": name, "to": arguments.to, **asdict(event)}))
    elif arguments.to == "challenger":
        print(f"{name} version {event.version} is the challenger now")
    elif event.version == event.previous:
        print(f"{name} version {event.version} is in {arguments.to} already")
    else:
        print(f"{name} version {event.version} is in {arguments.to} now (before: {event.previous or 'none'})")
    return 0
