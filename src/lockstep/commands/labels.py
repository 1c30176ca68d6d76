"""Show which labels of feedback wait for a review, and accept or reject those of an author.

Labels that contradict the answers given too often join no training until a person accepts them; the limits stand under
`data_ingestion.feedback_review`.

Example: lockstep labels accept key-1a2b3c4d --reason "new product names since May"
"""

import argparse
import json
from contextlib import closing

import msgspec

from lockstep.config import params_file
from lockstep.config.settings import Settings
from lockstep.errors import ConfigError
from lockstep.prediction_log import label_review
from lockstep.prediction_log.database import Store
from lockstep.prediction_log.label_review import LabelBatch
from lockstep.registry import tracking
from lockstep.registry.model_registry import Registry
from lockstep.runtime.terminal import print_table, visible

SHOWN = 30


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("verdict", nargs="?", choices=("accept", "reject"), help="without it, nothing changes")
    parser.add_argument("author", nargs="?", help="the name of an API key, or form, api, file or import without keys")
    parser.add_argument("--reason", default="", help="why, for the record")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the batches of labels, newest first, after what a person says of an author's.

    Raises ConfigError: a verdict has no author or reason, or nobody of that name gave a label.
    """
    params = params_file.load()
    registry = Registry(tracking.connect(settings), params.register_model.model_name)
    with closing(Store.from_settings(settings)) as store:
        log = (store, registry.name, params.data_ingestion.feedback_review, registry.history())
        _, batches, _ = label_review.assess_log(*log)
        if arguments.verdict:
            _check(arguments, {batch.author for batch in batches})
            accepted = arguments.verdict == "accept"
            label_review.record(store, registry.name, arguments.author, accepted, settings.actor, arguments.reason)
            _, batches, _ = label_review.assess_log(*log)
    if arguments.json:
        print(json.dumps({"model": registry.name, "batches": msgspec.to_builtins(batches)}))
    else:
        _show(registry.name, batches)
    return 0


def _check(arguments: argparse.Namespace, authors: set[str]) -> None:
    if not arguments.author or not arguments.reason:
        raise ConfigError(
            f"{arguments.verdict} needs an author and a reason",
            f"lockstep labels {arguments.verdict} AUTHOR --reason WHY; `lockstep labels` lists the authors",
        )
    if arguments.author not in authors:
        names = ", ".join(sorted(authors)) or "none so far"
        raise ConfigError(f"{arguments.author!r} gave no label", f"authors: {names}")


def _show(name: str, batches: list[LabelBatch]) -> None:
    if not batches:
        print(visible(f"{name}: no labels of logged rows have come yet; POST /feedback takes them"))
        return
    columns = ("day", "author", "labels", "contradict", "equal rows", "state")
    print_table(columns, (map(visible, _cells(batch)) for batch in batches[:SHOWN]))
    if (more := len(batches) - SHOWN) > 0:
        print(f"and {more} older batches")
    for batch in batches[:SHOWN]:
        if batch.reason:
            print(visible(f"{batch.day} {batch.author}: {batch.reason}"))


def _cells(batch: LabelBatch) -> tuple[object, ...]:
    return batch.day, batch.author, batch.labels, f"{batch.share:.0%}", batch.equal_rows, batch.state
