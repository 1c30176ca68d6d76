"""Ask a source outside data/external/ whether it has changed; `dvc repro` does so by itself.

Example: lockstep probe --json
"""

import argparse
import json
import sys

from lockstep import paths
from lockstep.config import params_file
from lockstep.config.settings import Settings
from lockstep.data.sources import change_detection
from lockstep.errors import DataError


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON for a program")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Write down what the source says; keep what it said last while it is out of reach."""
    params = params_file.load()
    try:
        change = change_detection.look(params.data_ingestion, settings.source_password)
        if test_source := params.test_ingestion():
            change |= change_detection.look(test_source, settings.source_password)
    except DataError as error:
        if not paths.PROBE.exists():
            raise
        print(f"probe: {error.problem}\n  what was read last stands until it answers", file=sys.stderr)
        return 0
    change_detection.keep(change or {params.data_ingestion.named: {}})
    if arguments.json:
        print(json.dumps(change))
        return 0
    print("\n".join(f"{source}: {state}" for source, state in change.items()) or "DVC watches the source by itself")
    return 0
