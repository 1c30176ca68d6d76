"""The progress display of long work: a bar or a count on a terminal, else a log line every so often, or nothing."""

import logging
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, Self

EVERY_S = 20.0
"""Seconds between two log lines where no terminal shows a bar."""

LONGEST_NAME = 60

Style = Literal["bytes", "count", "items", "hidden"]


class Progress:
    """Shows how much of a task is done; without a terminal it writes to `log`, if there is one, and shows nothing else.

    The style `bytes` is for transfers, `count` for work whose size nobody knows, `items` for a number of like parts,
    which `name` names, and `hidden` shows nothing. A detail stands at the end of the line.
    """

    def __init__(
        self, style: Style, name: str, total: int | None = None, done: int = 0, log: logging.Logger | None = None
    ) -> None:
        self.style, self.name, self.total, self.done, self.log = style, name, total, done, log
        self.detail = ""
        self._bar: Any = None
        self._task: Any = None
        self._first, self._started = done, time.monotonic()
        self._logged = self._started

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and (self.total is None or self.total > self.done) and self.style in STYLES:
            from rich.console import Console
            from rich.progress import Progress as Bar

            self._bar = Bar(*STYLES[self.style](), console=Console(stderr=True), transient=self.style != "items")
            name = self.name[-LONGEST_NAME:]
            self._task = self._bar.add_task(name, total=self.total, completed=self.done, detail="")
            self._bar.start()
        return self

    def advance(self, count: int = 1, detail: str = "") -> None:
        """Count more of the work as done."""
        self.update(self.done + count, detail)

    def update(self, done: int, detail: str = "") -> None:
        """Set how much of the work is done."""
        self.done, self.detail = done, detail
        if self._bar:
            self._bar.update(self._task, completed=done, detail=detail)
        elif self.log and (now := time.monotonic()) - self._logged >= EVERY_S:
            self._logged = now
            self.log.info("%s", self.line(now - self._started))

    def line(self, elapsed_s: float) -> str:
        """Return the state as one line: what is done, how long the rest may take, and the detail."""
        rate_s = elapsed_s / max(1, self.done - self._first)
        left = "" if self.total is None else f" of {self.total}"
        rest = "" if self.total is None else f", about {_duration(rate_s * (self.total - self.done))} left"
        return f"{self.done}{left} {self.name}{rest}{f'; {self.detail}' if self.detail else ''}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()


def _bytes() -> list[Any]:
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    name = TextColumn("{task.description}", markup=False)
    return [name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]


def _count() -> list[Any]:
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.completed:,} {task.description}", markup=False)
    return [SpinnerColumn(), text, TimeElapsedColumn()]


def _items() -> list[Any]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    name, detail = (TextColumn(text, markup=False) for text in ("{task.description}", "{task.fields[detail]}"))
    return [name, BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn(), detail]


STYLES: dict[Style, Callable[[], list[Any]]] = {"bytes": _bytes, "count": _count, "items": _items}


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
