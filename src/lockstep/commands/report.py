"""Draw the reports on data and evaluation as pages, with the gate's comparison with the champion.

Example: lockstep report --open
"""

import argparse
import json
import webbrowser

from lockstep import paths
from lockstep.config import params_file
from lockstep.config.settings import Settings
from lockstep.decision import Decision
from lockstep.errors import LockstepError
from lockstep.inference import predictor
from lockstep.pages import data_report
from lockstep.pages.evaluation import report


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--open", action="store_true", help="show it in the browser")
    parser.add_argument("--offline", action="store_true", help="show the last decision here, without the registry")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Draw the pages and print the path of the evaluation report; the page names a registry that is out of reach."""
    decision, note = _decision(settings, arguments.offline)
    draw(decision, note)
    page = paths.REPORT.absolute()
    print(json.dumps({"report": str(page), "champion": decision is not None}) if arguments.json else paths.REPORT)
    if arguments.open:
        webbrowser.open(page.as_uri())
    return 0


def draw(decision: Decision | None, note: str = "") -> None:
    """Write both pages from the records of the pipeline."""
    data_report.draw()
    report.draw(decision, note)


def _decision(settings: Settings, offline: bool) -> tuple[Decision | None, str]:
    """Return the gate's decision on the model in models/, or the reason why there is none."""
    from lockstep.lifecycle import promotion

    digest = predictor.digest(paths.MODELS)
    if offline:
        return promotion.last_decision(digest), "No decision of the gate on this model is recorded here."
    try:
        return promotion.present_decision(params_file.load(), settings), "The registry has no decision on this model."
    except LockstepError as error:
        return promotion.last_decision(digest), f"Not compared with Production: {error.problem}."
