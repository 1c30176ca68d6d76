"""Virtual environments of the sides, created from pinned requirements and reused between runs."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STATE = ROOT / ".lockstep" / "bench"
OWN = "lockstep"
"""The name of the environment that this benchmark itself runs in, where our server is installed."""


def python(name: str) -> Path:
    """Return the interpreter of an environment, which is made now if its requirements have changed."""
    if name == OWN:
        return Path(sys.executable)
    place, wanted = STATE / "environments" / name, HERE / f"requirements-{name}.txt"
    stamp = place / "made-from"
    digest = f"{sys.version}\n{hashlib.sha256(wanted.read_bytes()).hexdigest()}\n"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != digest:
        _make(place, wanted)
        stamp.write_text(digest, encoding="utf-8")
    return place / "bin" / "python"


def _make(place: Path, wanted: Path) -> None:
    """Install the pinned requirements with their bytecode, so that no start pays for compiling."""
    print(f"making {place.name}'s environment from {wanted.name}, a minute or so", file=sys.stderr, flush=True)
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    python = str(place / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", str(wanted)], check=True)
    subprocess.run([python, "-m", "compileall", "-q", str(place / "lib")], check=False, stdout=subprocess.DEVNULL)
