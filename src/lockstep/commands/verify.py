"""Rerun the pipeline in a clean copy and compare every output with dvc.lock.

An output is `same` (byte for byte), `close` (its numbers within --tolerance of those recorded, as a processor without
x86-64-v3 may give them), `different`, or `unknown`: other bytes, and the recorded ones are neither in the workspace nor
in DVC's cache. The exit code is 1 if an output is different, else 3 if one is unknown.

Example: lockstep verify --tolerance 1e-6
"""

import argparse
import hashlib
import io
import json
import math
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import yaml

from lockstep import paths
from lockstep.config.settings import Settings
from lockstep.errors import DataError

Verdict = Literal["same", "close", "different", "unknown"]
# Files that are compared number by number; others are the same or different.
NUMERIC = (".json", ".csv", ".parquet", ".npz", ".skops")
SEVERITY: tuple[Verdict, ...] = ("same", "close", "unknown", "different")
UNKNOWN = 3
HINT = "dvc pull first (or git restore, where git keeps the file)"


@dataclass(frozen=True)
class Output:
    """A file or folder that dvc.lock records."""

    stage: str
    path: str
    md5: str


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--tolerance", type=float, default=1e-6, help="relative tolerance of numbers (default 1e-6)")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Compare, and exit with the code of the worst verdict."""
    if not paths.LOCK.exists():
        raise DataError("dvc.lock not found", "run `dvc repro` first and commit it")
    recorded = read_lock(paths.LOCK)
    cache = cache_folder()
    with clean_copy() as copy:
        _repro(copy)
        rerun = {output.path: output.md5 for output in read_lock(copy / paths.LOCK)}
        verdicts: dict[str, Verdict] = {
            output.path: "same"
            if rerun.get(output.path) == output.md5
            else compare(output, cache, copy, arguments.tolerance)
            for output in recorded
        }
    weigh_digest(verdicts)
    if arguments.json:
        print(json.dumps([{**vars(output), "verdict": verdicts[output.path]} for output in recorded]))
    else:
        print("\n".join(_line(output, verdicts[output.path]) for output in recorded))
    return 1 if "different" in verdicts.values() else UNKNOWN if "unknown" in verdicts.values() else 0


def _line(output: Output, verdict: Verdict) -> str:
    return f"{verdict:9} {output.stage:20} {output.path}" + (f"  {HINT}" if verdict == "unknown" else "")


def weigh_digest(verdicts: dict[str, Verdict]) -> None:
    """Give the record of the model's sha256 the worst verdict of the model's files: a digest is never merely close."""
    record = str(paths.REGISTERED)
    files = [verdict for path, verdict in verdicts.items() if path.startswith(f"{paths.MODELS}/") and path != record]
    worst: Verdict = max(files, key=SEVERITY.index, default="same")
    if verdicts.get(record, "same") != "same" and worst != "same":
        verdicts[record] = worst


def read_lock(path: Path) -> list[Output]:
    """Return every output that a dvc.lock records, in its order."""
    stages = yaml.safe_load(path.read_text(encoding="utf-8")).get("stages", {})
    return [Output(name, out["path"], out["md5"]) for name, stage in stages.items() for out in stage.get("outs", [])]


@contextmanager
def clean_copy() -> Iterator[Path]:
    """Yield this folder in a copy of the project: tracked files as they stand, and links to data/external/."""
    root = paths.root_of(Path.cwd())
    parent = root.parent if os.access(root.parent, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix=".lockstep-verify-", dir=parent) as folder:
        copy = Path(folder)
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
        if listed.returncode != 0:
            raise DataError(
                "this is no git repository", "verify copies what git tracks: `git init` and add the project"
            )
        for name in filter(None, listed.stdout.split("\0")):
            if (root / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root / name, copy / name)
        copy /= Path.cwd().relative_to(root)
        for entry in paths.EXTERNAL.iterdir():
            if not (copy / entry).exists():
                (copy / entry).symlink_to(entry.resolve())
        yield copy


def _repro(copy: Path) -> None:
    """Run every stage in the copy, tracked in the copy alone, with its progress shown."""
    database = copy.resolve() / paths.STATE / "mlflow.db"
    tracked = ("MLFLOW_TRACKING_URI", "DAGSHUB_REPO", "DAGSHUB_USER_TOKEN", "CAPSTONE_TEST", "LOCKSTEP_STATE")
    environment = {name: value for name, value in os.environ.items() if name not in tracked}
    environment |= {
        "MLFLOW_TRACKING_URI": f"sqlite:///{database}",
        "LOCKSTEP_STATE": str(database.parent),
        "DVC_NO_ANALYTICS": "1",
    }
    subprocess.run(["git", "init", "-q"], cwd=paths.root_of(copy), check=True)
    done = subprocess.run(
        ["dvc", "repro", "--force", "--no-run-cache"], cwd=copy, env=environment, stdout=2, check=False
    )
    if done.returncode != 0:
        raise DataError("the pipeline fails in a clean copy", "the stage's own message stands above")


def cache_folder() -> Path:
    """Return the folder in which DVC keeps outputs by their MD5."""
    listed = subprocess.run(["dvc", "cache", "dir"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        raise DataError("this is no DVC project", "run `dvc init`, or go to the project's folder")
    return Path(listed.stdout.strip()) / "files" / "md5"


def compare(output: Output, cache: Path, copy: Path, tolerance: float) -> Verdict:
    """Compare a rerun file of other bytes with the recorded bytes, never with what merely lies in the workspace."""
    rerun = copy / output.path
    if not rerun.is_file() or rerun.suffix not in NUMERIC:
        return "different"
    candidates = (Path(output.path), cache / output.md5[:2] / output.md5[2:])
    recorded = next((path for path in candidates if path.is_file() and _md5(path) == output.md5), None)
    if recorded is None:
        return "unknown"
    return "close" if _close(recorded, rerun, tolerance) else "different"


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _close(recorded: Path, rerun: Path, tolerance: float) -> bool:
    """Compare two files of one kind number by number; everything else in them must be equal."""
    try:
        return _alike(_content(recorded, rerun.suffix), _content(rerun, rerun.suffix), tolerance)
    except ValueError:
        return False


def _content(path: Path, suffix: str) -> Any:
    """Return the content of a file of a kind; in DVC's cache its name has no suffix."""
    if suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    if suffix == ".npz":
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name].tolist() for name in stored.files}
    if suffix == ".skops":
        return _members(path)
    table = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    return {name: values.tolist() for name, values in table.items()}


def _members(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        arrays = {
            name: np.load(io.BytesIO(archive.read(name)), allow_pickle=False).tolist()
            for name in archive.namelist()
            if name.endswith(".npy")
        }
        return {**arrays, "schema": json.loads(archive.read("schema.json"))}


def _alike(left: Any, right: Any, tolerance: float) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_alike(left[key], right[key], tolerance) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(_alike(a, b, tolerance) for a, b in zip(left, right, strict=True))
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=tolerance, abs_tol=tolerance) or (left != left and right != right)
    return bool(left == right)
