"""Stages run as on another machine, and the digests of what they write, as dvc.lock records them."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from lockstep import numeric_pins
from tests.pipeline.project import STAGES, Project

MACHINES = {
    "unset": {},
    "Haswell": {"OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": "X86_V3"},
    "SkylakeX": {"OPENBLAS_CORETYPE": "SkylakeX", "NPY_ENABLE_CPU_FEATURES": "X86_V4", "PYTHONHASHSEED": "7"},
    "Zen": {"OPENBLAS_CORETYPE": "Zen", "OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4", "TZ": "Asia/Tokyo"},
}
"""What may stand in the environment of another machine."""

TIMED = 1800
COMPUTING = STAGES[:-1]
"""The stages whose outputs hold numbers; `register_model` records a digest of them."""

RUN = """
import runpy, sys
for name in sys.argv[1:]:
    try:
        runpy.run_path(f"src/{name}.py", run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
"""


def digests(project: Project, environment: dict[str, str], *emulator: str) -> dict[str, str]:
    """Run the stages from nothing in one process of their own and return the digest of each output."""
    shutil.rmtree(project.root / ".lockstep", ignore_errors=True)  # fits that an earlier run recorded
    kept = {name: value for name, value in project.environment.items() if not name.startswith(numeric_pins.PREFIXES)}
    command = [*emulator, sys.executable, "-c", RUN, *COMPUTING]
    done = subprocess.run(
        command, cwd=project.root, env=kept | environment, capture_output=True, text=True, timeout=TIMED
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {out: md5(project.root / out) for out in outputs(project.root)}


def outputs(root: Path) -> list[str]:
    """Return the outputs that dvc.yaml names for the computing stages."""
    stages = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    listed = [out for name in COMPUTING for kind in ("outs", "metrics") for out in stages[name].get(kind, [])]
    return [out if isinstance(out, str) else next(iter(out)) for out in listed]


def md5(path: Path) -> str:
    """Return the digest of a file or folder as DVC computes it."""
    if path.is_file():
        return hashlib.md5(path.read_bytes()).hexdigest()
    files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    listing = [{"md5": md5(path / name), "relpath": name} for name in files]
    return hashlib.md5(json.dumps(listing).encode()).hexdigest() + ".dir"
