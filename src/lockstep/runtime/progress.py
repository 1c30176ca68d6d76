"""The progress display of long work: a bar or a count on a terminal, else a log line every so often, or nothing."""

import logging
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeVar

EVERY_S = 20.0  # Seconds between two log lines where no terminal shows a bar.
LONGEST_NAME = 60

T = TypeVar("T")
Style = Literal["bytes", "count", "items", "hidden"]


@dataclass
class TimeLeft:
    """Estimate of the time that further items take, of kinds that differ, in proportion to their sizes.

    Each kind is judged by its own items as soon as some are done, so a sequence that begins with an item of each kind
    has a fair estimate early; until then, by those of all kinds.
    """

    items: Iterable[tuple[str, float]]
    spent_s: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.left: dict[str, float] = defaultdict(float)
        for kind, size in self.items:
            self.left[kind] += size

    def done(self, kind: str, size: float, seconds: float) -> None:
        """Count an item as done in so many seconds of its own."""
        self.left[kind] = max(0.0, self.left[kind] - size)
        self.sizes[kind] = self.sizes.get(kind, 0.0) + size
        self.spent_s[kind] = self.spent_s.get(kind, 0.0) + seconds

    def seconds(self, elapsed_s: float) -> float:
        """Return how long the rest takes; items run side by side if theirs add up to more than `elapsed_s`."""
        spent_s, sizes = sum(self.spent_s.values()), sum(self.sizes.values())
        if not spent_s or not sizes:
            return 0.0
        rates = {kind: self.spent_s[kind] / size for kind, size in self.sizes.items() if size}
        rest_s = sum(size * rates.get(kind, spent_s / sizes) for kind, size in self.left.items())
        return rest_s * elapsed_s / spent_s


class Progress:
    """Shows how much of a task is done; without a terminal it writes to `log`, if there is one, and shows nothing else.

    The style `bytes` is for transfers, `count` for work whose size nobody knows, `items` for a number of parts, which
    `name` names, and `hidden` shows nothing. A detail stands at the end of the line. `left` estimates the rest where
    parts differ; else it is in proportion to what is done.
    """

    left: TimeLeft | None = None

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
            self._task = self._bar.add_task(name, total=self.total, completed=self.done, detail="", rest="")
            self._bar.start()
        return self

    def advance(self, count: int = 1, detail: str = "") -> None:
        """Count more of the work as done."""
        self.update(self.done + count, detail)

    def update(self, done: int, detail: str = "") -> None:
        """Set how much of the work is done."""
        self.done, self.detail = done, detail
        now = time.monotonic()
        if self._bar:
            self._bar.update(self._task, completed=done, detail=detail, rest=self.rest(now - self._started))
        elif self.log and now - self._logged >= EVERY_S:
            self._logged = now
            self.log.info("%s", self.line(now - self._started))

    def rest(self, elapsed_s: float) -> str:
        """Return how long the rest may take, in words; nothing where nobody knows."""
        if self.total is None or self.done == self._first:
            return ""
        rate_s = elapsed_s / (self.done - self._first)
        seconds = self.left.seconds(elapsed_s) if self.left else rate_s * (self.total - self.done)
        return f"about {_duration(seconds)} left"

    def line(self, elapsed_s: float) -> str:
        """Return the state as one line: what is done, how long the rest may take, and the detail."""
        total = "" if self.total is None else f" of {self.total}"
        rest = f", {rest}" if (rest := self.rest(elapsed_s)) else ""
        return f"{self.done}{total} {self.name}{rest}{f'; {self.detail}' if self.detail else ''}"

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()


def tracked(
    items: Sequence[T], name: str, log: logging.Logger, size: Callable[[T], float] = lambda _: 1.0
) -> Iterator[T]:
    """Yield items and show how many are done; each takes time in proportion to its size."""
    with Progress("items", name, len(items), log=log) as progress:
        progress.left = TimeLeft(("", size(item)) for item in items)
        for item in items:
            started = time.monotonic()
            yield item
            progress.left.done("", size(item), time.monotonic() - started)
            progress.advance()


def _bytes() -> list[Any]:
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    name = TextColumn("{task.description}", markup=False)
    return [name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]


def _count() -> list[Any]:
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.completed:,} {task.description}", markup=False)
    return [SpinnerColumn(), text, TimeElapsedColumn()]


def _items() -> list[Any]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

    texts = ("{task.description}", "{task.fields[rest]}", "{task.fields[detail]}")
    name, rest, detail = (TextColumn(text, markup=False) for text in texts)
    return [name, BarColumn(20), MofNCompleteColumn(), rest, detail]


STYLES: dict[Style, Callable[[], list[Any]]] = {"bytes": _bytes, "count": _count, "items": _items}


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
