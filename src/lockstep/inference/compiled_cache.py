"""Cache of compiled scorers: files beside a bundle, so that a server needs no scikit-learn to answer.

The first process that loads a bundle lets another one, which ends right after, open it: check its digest and types,
compile it, hold it against the pipeline. What that wrote is read with numpy alone.
"""

import fcntl
import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np

from lockstep import files, paths
from lockstep.data.schema import Schema
from lockstep.errors import ArtifactError
from lockstep.inference import model_card
from lockstep.inference import predictor as bundles
from lockstep.inference.predictor import Bundle, Predictor
from lockstep.runtime.release import version_of
from lockstep.scoring.row_encoders import ENCODINGS, Scaling
from lockstep.scoring.scorers import LinearScorer, TreeScorer
from lockstep.scoring.tfidf import StackedTerms, TfidfTerms

FORMAT = 4  # Part of the name of a cached file: a scorer of other fields is compiled anew.
MADE_BY = ("lockstep", "scikit-learn", "treelite", "numpy")
CLASSES = {kind.__name__: kind for kind in (*ENCODINGS, Scaling, StackedTerms, TfidfTerms, LinearScorer, TreeScorer)}
COMPILE_S = 120  # Seconds that opening and compiling a bundle may take.


def load(bundle: Path, sha256: str, spare: Path | None = None) -> Predictor:
    """Load the predictor of a bundle, compiled if it can be; a file for the next time stays beside it, or in `spare`.

    Raises ArtifactError: the bundle is not what its digest says, is not allowed, or does not answer as recorded.
    """
    if bundles.digest(bundle) != sha256:
        raise ArtifactError(
            f"the model in {bundle} has not the digest {sha256[:12]}", "it was changed or cut off: fetch it again"
        )
    for folder in (bundle, *([spare] if spare else [])):
        path = folder / file_name(sha256)
        if path.is_file() or _may_write(folder):
            break
    with _alone(path):
        content = _read(path, sha256) or _make(bundle, sha256, path)
    if content["note"]:
        return Predictor.load(bundle, sha256)
    schema = Schema.from_json(bundles.read_json(bundle / paths.SCHEMA.name))
    predictor = Predictor(schema, content["scorer"], pipeline=Bundle(bundle, sha256).pipeline)
    predictor.check_smoke(bundles.read_json(bundle / paths.SMOKE.name))
    predictor.card = model_card.read(bundle)
    return predictor


def save(scorer: Any, note: str, sha256: str, path: Path) -> None:
    """Write a compiled scorer, or the note that says why there is none."""
    arrays: list[Any] = []
    content = {"sha256": sha256, "note": note, "scorer": None if note else _pack(scorer, arrays)}
    described = np.frombuffer(json.dumps(content).encode(), dtype=np.uint8)
    with files.atomic(path) as partial, partial.open("wb") as stream:
        np.savez(stream, allow_pickle=False, content=described, **{f"a{n}": array for n, array in enumerate(arrays)})


@cache
def file_name(sha256: str) -> str:
    """Return the name of a bundle's compiled file: another for each version of what compiles it."""
    made_by = json.dumps([FORMAT, *(f"{name} {_version(name)}" for name in MADE_BY)])
    return f"compiled-{sha256[:16]}-{hashlib.sha256(made_by.encode()).hexdigest()[:8]}.npz"


def _version(name: str) -> str:
    try:
        return version_of(name)
    except PackageNotFoundError:
        return ""


def _may_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
    except OSError:
        return False
    (folder / ".writable").unlink(missing_ok=True)
    return True


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time make a file; where it cannot be locked it cannot be made, and is there or not."""
    try:
        lock = path.with_suffix(".lock").open("w")
    except OSError:
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(path: Path, sha256: str) -> dict[str, Any] | None:
    """Read a compiled file; one that is missing or damaged is none."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            content = json.loads(stored["content"].tobytes())
            arrays = [stored[f"a{number}"] for number in range(len(stored.files) - 1)]
        if content["sha256"] != sha256:
            return None
        return {"note": content["note"], "scorer": _unpack(content["scorer"], arrays)}
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def _make(bundle: Path, sha256: str, path: Path) -> dict[str, Any]:
    """Let another process open the bundle, check and compile it."""
    command = [sys.executable, "-m", "lockstep.inference.compiled_cache", str(bundle), sha256, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_S, check=False)
    except subprocess.TimeoutExpired:
        raise ArtifactError(f"opening the model took more than {COMPILE_S} s", "it may be too large") from None
    if done.returncode:
        raise ArtifactError(*_fault(done.stderr))
    content = _read(path, sha256)
    if content is None:
        raise ArtifactError(f"{path} cannot be written", "make the folder LOCKSTEP_STATE writable")
    return content


def main(bundle: str, sha256: str, to: str) -> int:
    """Open and compile a bundle in a process of its own; a fault is printed as JSON."""
    try:
        predictor = Predictor.load(Path(bundle), sha256)
        save(predictor.scorer, predictor.note, sha256, Path(to))
    except ArtifactError as error:
        sys.stderr.write(json.dumps([error.problem, error.hint]) + "\n")
        return 1
    return 0


def _fault(stderr: str) -> tuple[str, str]:
    """Return the cause and the hint that the other process printed last."""
    try:
        cause, hint = json.loads(stderr.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return "the model cannot be opened: the process that tried has died", "look at its log, or at the memory left"
    return cause, hint


def _pack(value: Any, arrays: list[Any]) -> Any:
    """Return a value as JSON, with its arrays moved to a list."""
    if is_dataclass(value):
        return {type(value).__name__: [_pack(getattr(value, each.name), arrays) for each in fields(value)]}
    if isinstance(value, bytes):
        value = np.frombuffer(value, dtype=np.uint8)
        return {"bytes": _pack(value, arrays)}
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, dict):
        return {"dict": list(value.items())}
    return [_pack(each, arrays) for each in value] if isinstance(value, tuple) else value


def _unpack(value: Any, arrays: list[Any]) -> Any:
    if isinstance(value, list):
        return tuple(_unpack(each, arrays) for each in value)
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return arrays[content]
    if kind == "bytes":
        return _unpack(content, arrays).tobytes()
    if kind == "dict":
        return dict(map(tuple, content))
    return CLASSES[kind](*_unpack(content, arrays))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
