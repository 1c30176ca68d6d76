"""Draw the evaluation report again, with the champion of just now beside the model.

Example: lockstep report --open
"""

import argparse
import json
import webbrowser

from lockstep import paths
from lockstep.config import params_file
from lockstep.config.settings import Settings
from lockstep.errors import TrackingError
from lockstep.pages import data_report
from lockstep.pages.evaluation import report
from lockstep.registry import tracking
from lockstep.registry.model_registry import Registry


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--open", action="store_true", help="show it in the browser")
    parser.add_argument("--offline", action="store_true", help="do not ask the registry for the champion")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Draw, and say where it is; a registry that is out of reach is said on the page."""
    registry, note = None, "The champion was left out."
    if not arguments.offline:
        registry, note = _registry(settings)
    data_report.draw()
    report.draw(registry, note)
    where = paths.REPORT.absolute()
    print(json.dumps({"report": str(where), "champion": registry is not None}) if arguments.json else paths.REPORT)
    if arguments.open:
        webbrowser.open(where.as_uri())
    return 0


def _registry(settings: Settings) -> tuple[Registry | None, str]:
    name = params_file.load().register_model.model_name
    try:
        return Registry(tracking.connect(settings), name), ""
    except TrackingError as error:
        return None, f"Production could not be asked: {error.problem}"
