"""Values refused with 422: counted by column and reason, and a bounded sample under the log's privacy rule."""

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
from flask import Flask, Response, current_app, g, request

from flask_app import errors
from flask_app.admission import csrf, guard
from flask_app.models import model_service
from flask_app.observability import telemetry
from lockstep.config.settings import Settings
from lockstep.data.schema import FieldError, Schema
from lockstep.prediction_log import privacy, refusals
from lockstep.prediction_log.refusals import Group, Refusal

# Each reason, and how the problems of a fault begin that have it; anything else is `other`.
REASONS = (
    ("missing_column", "missing column"),
    ("unknown_column", "unknown column"),
    ("null", "null|empty, but"),
    ("unknown_category", "unknown category"),
    ("out_of_range", "expected a number (of at most|that a 64-bit)|expected a finite"),
    ("wrong_type", "expected|a row (is|here)"),
    ("repeated", "there twice|sent more than once"),
)
MOST_COLUMNS = 100
OTHER = "other"
MOST_BYTES = 1_000_000
EVERY_S = 1.0  # A process appends to the sample at most this often; what comes between is counted into the next line.
WINDOW_S = 24 * 60 * 60
MOST_GROUPS = 10


class Refusals:
    """The refused values of one app."""

    def __init__(self, settings: Settings, count: Callable[[str, str, str, int], None]) -> None:
        self._settings, self._count = settings, count
        self._log_rows = privacy.checked(settings.log_rows)
        self._pending: dict[str, dict[tuple[str, str], Group]] = {}
        self._rows: Counter[str] = Counter()
        self._written = 0.0
        self.path = Path(settings.state).absolute() / refusals.FILE

    def add(self, model: str, schema: Schema, faults: Sequence[FieldError], key: str = "") -> None:
        """Count the faults of one request, and append them to the sample if it is time."""
        columns = list(schema.kinds)[:MOST_COLUMNS]
        pending = self._pending.setdefault(model, {})
        for fault in faults:
            column, reason = fault.column if fault.column in columns else OTHER, reason_of(fault.problem)
            group = pending.setdefault((column, reason), Group(column, reason, 0, self._sample(fault, schema)))
            group.count += 1
        counts = Counter((f.column if f.column in columns else OTHER, reason_of(f.problem)) for f in faults)
        for (column, reason), number in counts.items():
            self._count(model, column, reason, number)
        self._rows[model] += len({fault.row for fault in faults})
        if time.monotonic() - self._written >= EVERY_S and self._log_rows != "off":
            groups = list(self._pending.pop(model).values())
            self._append(Refusal(time.time(), model, groups, key, self._rows.pop(model)))

    def recent(self, model: str, now: float) -> list[tuple[Group, Refusal]]:
        """Return what was refused within the window, the most first, each group with the line that it last stood in."""
        groups: dict[tuple[str, str], tuple[Group, Refusal]] = {}
        for line in refusals.read(self.path):
            if line.model != model or line.at < now - WINDOW_S:
                continue
            for group in line.groups:
                before = groups.get((group.column, group.reason))
                total = group.count + (before[0].count if before else 0)
                groups[group.column, group.reason] = (Group(group.column, group.reason, total, group.sample), line)
        return sorted(groups.values(), key=lambda entry: -entry[0].count)[:MOST_GROUPS]

    def mark(self) -> tuple[int, ...]:
        """Return what changes when the sample does."""
        try:
            state = self.path.stat()
        except OSError:
            return ()
        return state.st_mtime_ns, state.st_size

    def _append(self, line: Refusal) -> None:
        self._written = time.monotonic()
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(file, msgspec.json.encode(line) + b"\n")  # one call, so that lines of two workers never mix
                full = os.fstat(file).st_size > MOST_BYTES
            finally:
                os.close(file)
            if full:
                self.path.replace(refusals.older(self.path))
        except OSError:
            return  # a full disk costs the sample, never an answer

    def _sample(self, fault: FieldError, schema: Schema) -> str:
        """Return the refused value as the prediction log might hold it: plain, as a keyed hash, or not at all."""
        if fault.value is None or self._log_rows in ("none", "off"):
            return ""
        text = errors.shown(repr(fault.value), 80)
        hashed = self._log_rows == "hashed" and (isinstance(fault.value, str) or fault.column not in schema.kinds)
        return privacy.hashed(text, self._secret) if hashed else text

    @cached_property
    def _secret(self) -> bytes:
        return privacy.secret_of(csrf.secret_of(self._settings))


def reason_of(problem: str) -> str:
    """Return the reason of a fault, one of a few words that may label a series."""
    return next((reason for reason, begin in REASONS if re.match(begin, problem)), OTHER)


def init_app(app: Flask, settings: Settings) -> None:
    """Count the rows that an app refuses."""
    app.extensions["refusals"] = Refusals(settings, telemetry.from_app(app).count_refused)
    app.after_request(_after)


def current() -> Refusals:
    """Return the refusals of the current app."""
    return current_app.extensions["refusals"]


def _after(response: Response) -> Response:
    """Count what a handler of `RowsRefused` left for this request."""
    faults: Any = g.pop("refused_values", None)
    if faults:
        name = (request.view_args or {}).get("name") or model_service.default(current_app).name
        serving = model_service.named(current_app, name).serving()
        if serving:
            current().add(name, serving.predictor.schema, faults, guard.key_of(request.environ))
    return response
