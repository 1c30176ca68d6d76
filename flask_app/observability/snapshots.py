"""What the recorder last saw, read again only when its file has changed."""

import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
from flask import Flask

from lockstep.config.settings import Settings
from lockstep.drift.results import FILE, Snapshot

# Figures are called old when they are older than so many looks of the recorder and seconds together.
LATE_LOOKS, LATE_S = 3, 15.0


@dataclass(frozen=True)
class SnapshotState:
    """A snapshot, or why there is none, and which state of the file that is."""

    snapshot: Snapshot | None
    fault: str
    mark: tuple[int, ...]

    def age_s(self) -> float:
        """Return how old the figures are; a clock that was set back makes them no younger than now."""
        return max(0.0, time.time() - self.snapshot.at) if self.snapshot else 0.0


class Snapshots:
    """The snapshot file of one server."""

    def __init__(self, settings: Settings) -> None:
        self.every_s = max(1, settings.monitor_s)
        self._path = Path(settings.state).absolute() / FILE
        self._seen = SnapshotState(None, "", ())

    def read(self) -> SnapshotState:
        """Return what is in the file now."""
        try:
            state = self._path.stat()
            mark = (state.st_ino, state.st_mtime_ns, state.st_size)
            if mark != self._seen.mark:
                snapshot = msgspec.json.decode(self._path.read_bytes(), type=Snapshot)
                self._seen = SnapshotState(snapshot, "", mark)
        except FileNotFoundError:
            return SnapshotState(
                None, "Nothing has been looked at yet: the recorder writes its first figures soon.", ()
            )
        except (OSError, msgspec.DecodeError) as error:
            return SnapshotState(None, f"The figures cannot be read: {type(error).__name__}.", ())
        return self._seen

    def is_late(self, state: SnapshotState) -> bool:
        """Tell whether the figures are older than they should be."""
        return state.age_s() > LATE_S + LATE_LOOKS * self.every_s


def init_app(app: Flask, settings: Settings) -> None:
    """Let the app read what the recorder saw."""
    app.extensions["snapshots"] = Snapshots(settings)


def from_app(app: Flask) -> Snapshots:
    """Return what reads the snapshots of an app."""
    return app.extensions["snapshots"]
