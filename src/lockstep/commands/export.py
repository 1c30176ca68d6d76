"""Put the Production version into a folder, with a note of where it comes from: what the image is built with.

Example: lockstep export build/model
"""

import argparse
import json
from pathlib import Path

from lockstep.config.settings import Settings, model_name
from lockstep.errors import RegistryError
from lockstep.registry import tracking
from lockstep.registry.model_registry import Registry


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("folder", metavar="DIR", type=lambda text: Path(text).absolute(), help="made anew each time")
    parser.add_argument("--version", metavar="N", help="a registered version (default: Production)")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Export, and say which version that is."""
    from lockstep.lifecycle import export

    name = model_name(settings)
    registry = Registry(tracking.connect(settings), name)
    version = registry.get(arguments.version) if arguments.version else registry.production()
    if version is None:
        raise RegistryError(f"{name} has nothing in Production", "`lockstep promote` first, or say --version N")
    note = export.export(registry, version, arguments.folder)
    if arguments.json:
        print(json.dumps(note))
    else:
        print(f"{name} version {version.version} ({version.sha256[:12]}) -> {arguments.folder}")
    return 0
