"""How far a search is, on standard error: a bar on a terminal, else a line every so often."""

import logging
import sys
import time
from types import TracebackType
from typing import Any, Self

log = logging.getLogger("search")

EVERY_S = 20.0
"""Seconds between two lines where no terminal shows a bar."""


class Progress:
    """Counts fits, and shows the best so far and the time that is left."""

    def __init__(self, total: int, kept: int = 0) -> None:
        self.total, self.kept, self.done = total, kept, kept
        self.best = ""
        self._bar: Any = None
        self._task: Any = None
        self._started = self._told = time.monotonic()

    def __enter__(self) -> Self:
        if self.kept:
            log.info("%d of %d fits were done before and are not repeated", self.kept, self.total)
        if sys.stderr.isatty() and self.total > self.kept:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            shown = TextColumn("{task.description}", markup=False)
            columns = (TextColumn("search"), BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn(), shown)
            self._bar = Bar(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task("", total=self.total, completed=self.kept)
            self._bar.start()
        return self

    def advance(self, best: str) -> None:
        """Count one more fit; `best` says what leads."""
        self.done, self.best = self.done + 1, best
        if self._bar:
            self._bar.update(self._task, completed=self.done, description=best)
        elif (now := time.monotonic()) - self._told >= EVERY_S:
            self._told = now
            log.info("%s", self.line(now - self._started))

    def line(self, elapsed_s: float) -> str:
        """Say in one line what is done, what leads, and how long the rest may take."""
        rate_s = elapsed_s / max(1, self.done - self.kept)
        left = _spoken(rate_s * (self.total - self.done))
        leads = f"; best so far {self.best}" if self.best else ""
        return f"{self.done} of {self.total} fits, about {left} left{leads}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
