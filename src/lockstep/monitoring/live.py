"""How the models are at this moment, for commands and programs that are no server."""

import time
from contextlib import closing
from pathlib import Path

from lockstep.config.settings import Settings, model_name, model_names
from lockstep.drift import results
from lockstep.drift.results import LogState, ModelState, Snapshot
from lockstep.errors import ConfigError, StoreError, nearest
from lockstep.prediction_log import url

FRESH_LOOKS = 3


def look(settings: Settings) -> Snapshot:
    """Return what the recorder of a running server saw a moment ago; without one look into the prediction log.

    Where nothing was ever logged, nothing is made to say so.

    Raises StoreError: the database is out of reach.
    """
    file = Path(settings.state).absolute() / results.FILE
    snapshot = results.read(file)
    if snapshot and snapshot.log.reachable and 0 <= time.time() - snapshot.at < FRESH_LOOKS * settings.monitor_s:
        return snapshot
    database = Path(settings.state).absolute() / url.FILE
    if not settings.database_url and not database.exists():
        return Snapshot(time.time(), models={name: ModelState(name, "") for name in model_names(settings)})
    from lockstep.monitoring import monitor
    from lockstep.prediction_log.database import Store

    with closing(Store.from_settings(settings)) as store:
        measured = monitor.start(settings, lambda: store).look(time.time(), LogState())
    if not measured.log.reachable:
        raise StoreError(measured.log.fault, "check DATABASE_URL and the database")
    return measured


def model(snapshot: Snapshot, settings: Settings) -> ModelState:
    """Return the model of a snapshot that the settings name, by default the one that is served first.

    Raises ConfigError: there is no such model.
    """
    wanted = model_name(settings)
    if wanted not in snapshot.models:
        raise ConfigError(
            f"no model {wanted!r} is watched{nearest(wanted, snapshot.models)}", "see LOCKSTEP_MODEL_NAME"
        )
    return snapshot.models[wanted]
