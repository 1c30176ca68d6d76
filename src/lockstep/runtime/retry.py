"""Retries with exponential backoff, for calls over a network; the standard library alone, since the client uses it."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Backoff:
    """How often a call is tried, and the pauses between: the first in seconds, the factor of each next, the longest.

    `jitter` is the share of a pause that is drawn at random, so that many clients do not come back together.
    """

    attempts: int
    first_s: float
    factor: float = 2.0
    longest_s: float = 60.0
    jitter: float = 0.0

    def pause_s(self, failures: int) -> float:
        """Return the pause after so many failures in a row."""
        pause_s = min(self.longest_s, self.first_s * self.factor ** (failures - 1))
        return pause_s * random.uniform(1 - self.jitter, 1.0)  # noqa: S311 - no secret

    def call(
        self,
        function: Callable[[], T],
        retried: tuple[type[Exception], ...],
        on_failure: Callable[[Exception, int], float | None] = lambda error, attempt: None,
    ) -> T:
        """Return what a function returns, calling it again after the errors that may pass.

        `on_failure` gets each such error and the number of the attempt; it may raise to give up, or return the least
        pause in seconds that the other side wants. The error of the last attempt is raised.
        """
        for attempt in range(1, self.attempts + 1):
            try:
                return function()
            except retried as error:
                least_s = on_failure(error, attempt) or 0.0
                if attempt == self.attempts:
                    raise
            time.sleep(max(least_s, self.pause_s(attempt)))
        raise ValueError(f"{self.attempts} attempts are none")
