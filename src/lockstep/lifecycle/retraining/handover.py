"""A job of the loop that another place runs: labelled rows travel first, then the order goes to GitHub."""

import logging

from lockstep.config.settings import Settings
from lockstep.drift.results import Job
from lockstep.errors import ConfigError, LockstepError
from lockstep.lifecycle.retraining import github
from lockstep.lifecycle.retraining.github import Order, Target
from lockstep.lifecycle.retraining.jobs import Ended
from lockstep.prediction_log.database import PredictionFilter, Store
from lockstep.prediction_log.export import export

log = logging.getLogger("retrain")


def target(settings: Settings) -> Target:
    """Return the repository that is to retrain.

    Raises
    ------
    ConfigError
        None is set.
    """
    found = Target.of(settings)
    if found is None:
        raise ConfigError("LOCKSTEP_DISPATCH_REPO is not set", "set it to owner/name of the project on GitHub")
    return found


def run(settings: Settings, store: Store, to: Target, model: str, job: Job) -> Ended:
    """Export the labelled rows, give the order, and return what came of it, a fault included."""
    rows = 0
    try:
        if settings.dispatch_rows:
            rows = export(store, PredictionFilter(model=model, labelled=True), settings.dispatch_rows)
            log.info("%d labelled predictions are in %s", rows, settings.dispatch_rows)
        github.send(to, Order(model, job.reason, job.trigger, job.id))
    except LockstepError as error:
        return Ended("failed", str(error), labelled_rows=rows)
    return Ended("dispatched", f"handed to {to.repo}: its workflow trains, and asks the gate there", labelled_rows=rows)
