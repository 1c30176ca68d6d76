"""Restore the version that was Production before; running apps follow within seconds.

Example: lockstep rollback --reason "complaints about version 7"
"""

import argparse
import json
from dataclasses import asdict

from lockstep.config import params_file
from lockstep.config.settings import Settings
from lockstep.lifecycle import promotion


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--reason", default="", help="why, for the history")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Go one step back, and say what serves now."""
    params = params_file.load()
    event = promotion.rollback(params, settings, arguments.reason)
    name = params.register_model.model_name
    if arguments.json:
        print(json.dumps({"model": name, **asdict(event)}))
    else:
        print(f"{name} version {event.version} is in production again (before: {event.previous})")
    return 0
