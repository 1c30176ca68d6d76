"""Draw the reports on data and evaluation as pages, with the gate's comparison with the champion.

Example: lockstep report --open
"""

import argparse
import json
import logging
import webbrowser

from lockstep import paths
from lockstep.config import params_file
from lockstep.config.settings import Settings
from lockstep.decision import Decision
from lockstep.errors import LockstepError
from lockstep.inference import predictor
from lockstep.lifecycle import promotion, registration
from lockstep.pages import data_report
from lockstep.pages.evaluation import page as evaluation_page

log = logging.getLogger("report")


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--open", action="store_true", help="show it in the browser")
    parser.add_argument("--offline", action="store_true", help="show the last decision here, without the registry")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Draw the pages and print the path of the evaluation report; the page names a registry that is out of reach."""
    decision, note = _recorded() if arguments.offline else _present(settings)
    draw(decision, note)
    if decision and not arguments.offline:
        _log_pages(settings)
    page = paths.REPORT.absolute()
    print(json.dumps({"report": str(page), "champion": decision is not None}) if arguments.json else paths.REPORT)
    if arguments.open:
        webbrowser.open(page.as_uri())
    return 0


def draw(decision: Decision | None, note: str = "") -> None:
    """Write both pages from the records of the pipeline."""
    data_report.draw()
    evaluation_page.draw(decision, note)


def _recorded() -> tuple[Decision | None, str]:
    """Return the last decision here on the model in models/, or the reason why there is none."""
    return promotion.last_decision(predictor.digest(paths.MODELS)), "No decision of the gate is recorded here."


def _present(settings: Settings) -> tuple[Decision | None, str]:
    """Return the gate's decision of now, or the reason why there is none; the last one where the registry is away."""
    try:
        return promotion.present_decision(params_file.load(), settings), "The registry has no decision on this model."
    except LockstepError as error:
        return _recorded()[0], f"Not compared with Production: {error.problem}."


def _log_pages(settings: Settings) -> None:
    """Log the pages with the run of the model; they stay here where the tracking server is out of reach."""
    try:
        registration.log_pages(settings)
    except LockstepError as error:
        log.warning("the pages are not logged with the run: %s", error.problem)
