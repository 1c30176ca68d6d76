"""Export, import, migrate or prune the prediction log.

Example: lockstep log export week.parquet --since 2026-11-14
         lockstep log export s3://bucket/labelled.csv --labelled
         lockstep log import s3://bucket/labelled.csv
         lockstep log prune --days 30
"""

import argparse
import time
from contextlib import closing
from datetime import UTC, datetime

from lockstep.config.settings import Settings
from lockstep.errors import ConfigError
from lockstep.prediction_log.database import PredictionFilter, Store
from lockstep.prediction_log.export import export
from lockstep.prediction_log.importer import MissingSource, import_file
from lockstep.prediction_log.retention import DAY_US, prune
from lockstep.runtime.progress import Progress


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="action", required=True)
    out = actions.add_parser("export", help="write predictions with their labels to a file, the oldest first")
    out.add_argument("to", metavar="FILE", help="a path or s3://BUCKET/KEY that ends with .csv or .parquet")
    for name in ("model", "version", "variant"):
        out.add_argument(f"--{name}", default="", help=f"of this {name} only")
    out.add_argument("--since", default="", metavar="TIME", help="from this time by ISO 8601, in UTC unless it says so")
    out.add_argument("--until", default="", metavar="TIME", help="before this time")
    out.add_argument("--labelled", action="store_true", help="only those that have a label")
    back = actions.add_parser("import", help="add what another log exported, with its labels; twice changes nothing")
    back.add_argument("source", metavar="FILE", help="a path or s3://BUCKET/KEY that `lockstep log export` wrote")
    back.add_argument("--missing-ok", action="store_true", help="a file that is not there yet is no fault")
    actions.add_parser("migrate", help="create the tables, or bring them to this version; servers do so at start, too")
    prune = actions.add_parser("prune", help="delete what is older than the log keeps")
    prune.add_argument("--days", type=int, help="keep this many days (default: the setting LOCKSTEP_LOG_DAYS)")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do what is asked, and say how many predictions that were."""
    return ACTIONS[arguments.action](arguments, settings)


def _export(arguments: argparse.Namespace, settings: Settings) -> int:
    named = {name: getattr(arguments, name) for name in ("model", "version", "variant", "labelled")}
    log_filter = PredictionFilter(**named, since_us=moment_us(arguments.since), until_us=moment_us(arguments.until))
    with closing(Store.from_settings(settings)) as store, Progress("count", "predictions written") as progress:
        count = export(store, log_filter, arguments.to, progress.update)
    print(f"{count} predictions in {arguments.to}")
    return 0


def _import(arguments: argparse.Namespace, settings: Settings) -> int:
    try:
        with closing(Store.from_settings(settings)) as store, Progress("count", "predictions added") as progress:
            added = import_file(store, arguments.source, progress.update)
    except MissingSource as missing:
        if not arguments.missing_ok:
            raise
        print(f"{missing}: nothing is new")
        return 0
    print(f"{added.predictions} predictions and {added.labels} labels are new, from {arguments.source}")
    return 0


def _migrate(arguments: argparse.Namespace, settings: Settings) -> int:
    Store.from_settings(settings).close()
    print("the tables of the prediction log are those of this version, or of a newer one that it can write to")
    return 0


def _prune(arguments: argparse.Namespace, settings: Settings) -> int:
    days = settings.log_days if arguments.days is None else arguments.days
    if days < 1:
        raise ConfigError(f"{days} days: nothing would be kept, or all", "name at least one day: --days 30")
    with closing(Store.from_settings(settings)) as store, Progress("count", "predictions deleted") as progress:
        count = prune(store, time.time_ns() // 1000 - days * DAY_US, progress.update)
    print(f"{count} predictions older than {days} days deleted")
    return 0


ACTIONS = {"export": _export, "import": _import, "migrate": _migrate, "prune": _prune}


def moment_us(text: str) -> int:
    """Return a moment of ISO 8601 in microseconds since 1970; 0 if none is given. Raises ConfigError: it is not one."""
    try:
        moment = datetime.fromisoformat(text or "1970-01-01")
    except ValueError:
        raise ConfigError(f"{text!r} is no time by ISO 8601", "write 2026-11-14 or 2026-11-14T09:00:00+01:00") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6)
