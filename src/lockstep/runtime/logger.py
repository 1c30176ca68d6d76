"""Logging setup: one line a record on standard error, with the name of the logger."""

import logging
import sys
from typing import Any

from lockstep.runtime.terminal import visible

VERBOSE = ("botocore", "boto3", "s3transfer")  # Libraries whose notes on their own settings say nothing about a run.


def start(level: str = "INFO") -> None:
    """Send log lines to standard error, one line each, control characters shown and not obeyed."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in VERBOSE:
        logging.getLogger(name).setLevel(logging.WARNING if root.level == logging.INFO else logging.NOTSET)


class _OneLine(logging.Formatter):
    """Escape control characters in messages, so that no value can forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        record.msg, record.args = visible(record.getMessage()), ()
        return super().format(record)

    def formatException(self, ei: Any) -> str:
        """Indent every line of a traceback, so that none can pass for a line of the log."""
        return "\n".join(f"  | {visible(line)}" for line in super().formatException(ei).splitlines())
