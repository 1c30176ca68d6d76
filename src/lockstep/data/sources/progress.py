"""A bar for transfers, on terminals alone."""

import sys
from types import TracebackType
from typing import Any, Self


class Progress:
    """Shows how much of a transfer is here; shows nothing where nobody looks."""

    def __init__(self, name: str, start: int, whole: int | None, hidden: bool = False) -> None:
        self.hidden = hidden
        self.name, self.start, self.whole = name, start, whole
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self.hidden:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
            self._bar = Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(self.name[-60:], total=self.whole, completed=self.start)
            self._bar.start()
        return self

    def at(self, here: int) -> None:
        """Move on to so many bytes."""
        if self._bar:
            self._bar.update(self._task, completed=here)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
