"""Checkpoint of a search: every finished fit is on disk at once, so that a killed search resumes where it was.

One folder a search, named by the digest of all that its scores depend on; in it one file, to which each finished fit
adds a line with a checksum. Lines of several runs may stand in any order; a damaged one is passed over.
"""

import hashlib
import json
import logging
import os
import platform
import shutil
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from lockstep import files
from lockstep.config.params import ModelBuilding, Task
from lockstep.modeling.search.fold_score import FoldResult

log = logging.getLogger("search")

KEEP = 5  # Searches whose checkpoints stay: enough to return to an earlier params.yaml, few enough to need no cleaning.
# Seconds between two calls of fsync, which costs milliseconds: a killed process loses nothing even without it.
FLUSH_S = 0.5
LIBRARIES = ("numpy", "scipy", "scikit-learn", "treelite", "xgboost", "xgboost-cpu", "lightgbm")
CODE = ("features", "metrics", "modeling", "scoring")  # Packages that a score may depend on.
LINES = "pieces.jsonl"
FINISHED = "finished.json"


class Checkpoint:
    """The fits of one search that are done: those of earlier runs, and a file for those of this one."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder / key[:32]
        self.results: dict[str, FoldResult] = {}
        self.spent_s = 0.0
        self._run = uuid.uuid4().hex[:12]
        self._started = self._flushed = time.monotonic()
        files.private_folder(self.folder)
        self._read()
        self._file = os.open(self.folder / LINES, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        _prune(folder, self.folder)

    def add(self, task: str, result: FoldResult) -> None:
        """Record the result of a fit."""
        self.results[task] = result
        now = time.monotonic()
        record = {"piece": task, "run": self._run, "spent_s": round(now - self._started, 3), **asdict(result)}
        text = json.dumps(record, sort_keys=True)
        # line feeds on both sides: what a killed run left half written spoils no other line
        os.write(self._file, f"\n{_checksum(text)} {text}\n".encode())
        if now - self._flushed > FLUSH_S:
            os.fsync(self._file)
            self._flushed = now

    def finish(self, record: Path, timings: Sequence[Mapping[str, float]]) -> None:
        """Write how long each trial of a finished record took, found again by the record's digest."""
        files.write_json({"record": files.sha256(record), "timings": list(timings)}, self.folder / FINISHED)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def _read(self) -> None:
        spent: dict[str, float] = {}
        damaged = 0
        for line in _lines(self.folder / LINES):
            record = _record(line)
            if record is None:
                damaged += 1
                continue
            task, run = record.pop("piece"), record.pop("run")
            spent[run] = max(spent.get(run, 0.0), record.pop("spent_s"))
            self.results[task] = FoldResult(**record)
        self.spent_s = sum(spent.values())
        if damaged:
            log.warning("%d damaged lines in %s are passed over; their fits run again", damaged, self.folder / LINES)


def key(matrix: str, task: Task, params: ModelBuilding) -> str:
    """Return the digest of what a search depends on: the matrix (its digest), params, our code and the libraries.

    Where it runs and how long it may take change no score, so a search goes on when these are changed.
    """
    settings = params.model_dump(mode="json", exclude={"jobs": True, "compute": True, "search": {"minutes"}})
    content = {"matrix": matrix, "task": task, "params": settings, "code": _code(), "with": _libraries()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def timings(folder: Path, record: Path) -> list[dict[str, float]]:
    """Return how long each trial of a record took, if a checkpoint of this machine has them; else an empty list."""
    digest = files.sha256(record)
    for path in sorted(folder.glob(f"*/{FINISHED}")):
        finished = files.read_json(path)
        if finished["record"] == digest:
            return finished["timings"]
    return []


def _lines(path: Path) -> Iterator[bytes]:
    if path.is_file():
        yield from (line for line in path.read_bytes().split(b"\n") if line.strip(b"\x00 "))


def _record(line: bytes) -> dict[str, Any] | None:
    """Return what a line says, if it is whole."""
    checksum, _, text = line.decode("utf-8", "replace").partition(" ")
    if checksum != _checksum(text):
        return None
    return json.loads(text)


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _prune(folder: Path, current: Path) -> None:
    """Remove all but the latest checkpoints; another run that uses one only loses what it could have resumed from."""
    others = sorted((path for path in folder.iterdir() if path != current), key=_age, reverse=True)
    for old in others[KEEP - 1 :]:
        shutil.rmtree(old, ignore_errors=True)


def _age(path: Path) -> float:
    try:
        return max((each.stat().st_mtime for each in (path, path / LINES)), default=0.0)
    except FileNotFoundError:
        return 0.0


def _code() -> str:
    """Return the digest of the modules that a score may depend on."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for path in sorted(path for part in CODE for path in (root / part).rglob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _libraries() -> dict[str, str]:
    versions = {"python": platform.python_version(), "machine": f"{sys.platform} {platform.machine()}"}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
