"""Rerun the pipeline in a clean copy and compare every output with dvc.lock.

An output is `same` (byte for byte), `close` (its numbers within --tolerance, as another processor may give them),
or `different`.

Example: lockstep verify --tolerance 1e-6
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lockstep import paths
from lockstep.config.settings import Settings
from lockstep.errors import DataError


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
    """Compare, and exit 1 if an output is different."""
    if not paths.LOCK.exists():
        raise DataError("dvc.lock not found", "run `dvc repro` first and commit it")
    recorded = read_lock(paths.LOCK)
    with clean_copy() as copy:
        _repro(copy)
        rerun = {output.path: output.md5 for output in read_lock(copy / paths.LOCK)}
        found = [(output, _verdict(output, rerun, copy, arguments.tolerance)) for output in recorded]
    if arguments.json:
        print(json.dumps([{**vars(output), "verdict": verdict} for output, verdict in found]))
    else:
        print("\n".join(f"{verdict:9} {output.stage:20} {output.path}" for output, verdict in found))
    return int(any(verdict == "different" for _, verdict in found))


def read_lock(path: Path) -> list[Output]:
    """Return every output that a dvc.lock records, in its order."""
    stages = yaml.safe_load(path.read_text(encoding="utf-8")).get("stages", {})
    return [Output(name, out["path"], out["md5"]) for name, stage in stages.items() for out in stage.get("outs", [])]


@contextmanager
def clean_copy() -> Iterator[Path]:
    """Yield a folder beside the project with its tracked files as they stand, and links to data/external/."""
    root = Path.cwd()
    parent = root.parent if os.access(root.parent, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix=".lockstep-verify-", dir=parent) as folder:
        copy = Path(folder)
        listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=False)
        if listed.returncode != 0:
            raise DataError(
                "this is no git repository", "verify copies what git tracks: `git init` and add the project"
            )
        for name in filter(None, listed.stdout.split("\0")):
            if Path(name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(name, copy / name)
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
    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
    done = subprocess.run(
        ["dvc", "repro", "--force", "--no-run-cache"], cwd=copy, env=environment, stdout=2, check=False
    )
    if done.returncode != 0:
        raise DataError("the pipeline fails in a clean copy", "the stage's own message stands above")


def _verdict(output: Output, rerun: dict[str, str], copy: Path, tolerance: float) -> str:
    if rerun.get(output.path) == output.md5:
        return "same"
    here, there = Path(output.path), copy / output.path
    if not here.is_file() or not there.is_file():
        return "different"
    return "close" if _close(here, there, tolerance) else "different"


def _close(here: Path, there: Path, tolerance: float) -> bool:
    """Compare two files of one kind number by number; everything else in them must be equal."""
    try:
        return _alike(_content(here), _content(there), tolerance)
    except (KeyError, ValueError):
        return False


def _content(path: Path) -> Any:
    import numpy as np
    import pandas as pd

    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    if path.suffix in (".csv", ".parquet"):
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
        return {name: values.tolist() for name, values in table.items()}
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name].tolist() for name in stored.files}
    if path.suffix == ".skops":
        return _members(path)
    raise KeyError(path.suffix)


def _members(path: Path) -> dict[str, Any]:
    import io
    import zipfile

    import numpy as np

    with zipfile.ZipFile(path) as archive:
        arrays = {
            name: np.load(io.BytesIO(archive.read(name)), allow_pickle=False).tolist()
            for name in archive.namelist()
            if name.endswith(".npy")
        }
        return {**arrays, "schema": json.loads(archive.read("schema.json"))}


def _alike(one: Any, other: Any, tolerance: float) -> bool:
    import math

    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key], tolerance) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_alike(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance) or (one != one and other != other)
    return bool(one == other)
