"""A prediction log in a folder, with a registry beside it, for what watches both."""

from dataclasses import dataclass, field

import numpy as np

from lockstep.data import frames
from lockstep.drift.results import LogState
from lockstep.errors import TrackingError
from lockstep.inference.predictor import Predictor, digest
from lockstep.monitoring import monitor
from lockstep.monitoring.registry_view import RegistryView
from lockstep.prediction_log import refusals
from lockstep.prediction_log.database import Store
from lockstep.prediction_log.records import Answer, Label
from lockstep.registry.history import Event
from lockstep.registry.model_registry import Version
from tests.flask_app import standins

NOON_S = 1_790_000_000.0


@dataclass
class Roles:
    """The registry, as far as the monitoring asks it."""

    folders: dict
    roles: dict = field(default_factory=dict)
    moves: list = field(default_factory=list)
    down: bool | Exception = False

    def version(self, number):
        return Version("demo", number, "run", str(self.folders[number]), digest(self.folders[number]), {})

    def at(self, role):
        if self.down:
            raise self.down if isinstance(self.down, Exception) else TrackingError("no answer")
        return self.version(self.roles[role]) if role in self.roles else None

    def production(self):
        return self.at("production")

    def challenger(self):
        return self.at("challenger")

    def history(self):
        return self.moves

    def get(self, number):
        self.at("production")
        return self.version(number)

    def download(self, version, to):
        to.mkdir(parents=True)
        for file in self.folders[version.version].iterdir():
            (to / file.name).write_bytes(file.read_bytes())
        return to

    def promote(self, number, at="2026-09-21T10:00:00+00:00"):
        self.moves.insert(0, Event("promote", number, self.roles.get("production", ""), "ada", at, "better"))
        self.roles["production"] = number


class Log:
    """A store, a watcher and a hand that writes predictions and labels as the workers would."""

    def __init__(self, folder, bundle, task="binary", url="", share=0):
        self.folder = folder
        self.roles = Roles({"1": bundle, "2": bundle, "3": bundle})
        self.roles.promote("1")
        self.predictor = Predictor.load(bundle)
        self.store = Store.open(url or f"sqlite:///{folder / 'log.db'}")
        self.options = monitor.MonitorOptions(("demo",), challenger_share=share, refusals=folder / refusals.FILE)
        self.watcher = self.restarted()
        self.random = np.random.default_rng(5)
        self.drawn = 0
        self.known = frames.rows_of(standins.make_frame(task)[0], self.predictor.schema)
        self.at = NOON_S

    def restarted(self):
        """Return a watcher that knows nothing."""
        return monitor.Watcher(lambda: self.store, RegistryView(lambda name: self.roles, self.folder), self.options)

    def look(self, **state):
        return self.watcher.look(self.at, LogState(**state))

    def answer(self, given, version="1", variant="production", named=(), rows=True):
        """Log answers to rows, one second each, and return their ids and values."""
        found = self.predictor.predict(given)
        values = list(found.values)
        shares = None if found.probabilities is None else [list(map(float, own)) for own in found.probabilities]
        ids, records = [], []
        for place, row in enumerate(given):
            self.drawn += 1
            self.at += 1
            ids.append(named[place] if named else f"{self.drawn:032x}")
            own = [shares[place]] if shares else None
            made = (
                round(self.at * 1e6),
                "demo",
                version,
                variant,
                "",
                1500,
                ids[-1:],
                [list(row)] if rows else None,
                [values[place]],
                own,
            )
            records.append(Answer(*made))
        self.store.add(records)
        return ids, values

    def label(self, ids, truths):
        """Log the truth about predictions, an hour later."""
        self.at += 1
        given = [
            Label(round((self.at + 3600) * 1e6), f"{own}-{self.at}", own, truth, "test")
            for own, truth in zip(ids, truths, strict=True)
        ]
        self.store.add(given)
        self.at += 3600

    def rows(self, count, **changed):
        """Return rows drawn from those that the model was made of, some columns changed by a function."""
        names = [column.name for column in self.predictor.schema.columns]
        picked = self.random.integers(0, len(self.known), count)
        return [
            tuple(changed.get(name, same)(value) for name, value in zip(names, self.known[place], strict=True))
            for place in picked
        ]


def same(value):
    return value
