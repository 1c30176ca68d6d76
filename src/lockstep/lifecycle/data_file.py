"""Data file of a project: copied or linked into data/external/, and tracked by DVC or git, so that a clone has it."""

import filecmp
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lockstep import files, paths
from lockstep.config import use_cases
from lockstep.errors import DataError
from lockstep.registry import provenance

Way = Literal["dvc", "git", "link"]

GIT_BYTES = 1_000_000  # Largest file that git takes: a clone holds every version of it for ever.


@dataclass(frozen=True)
class Tracking:
    """How a data file is tracked, in words, and the files to commit for it."""

    state: str
    commit: tuple[str, ...] = ()


def take(source: Path, way: Way) -> tuple[Path, Tracking]:
    """Place and track a file, and return its path in the project.

    Raises DataError: another file of its name lies there, it is too large for git, or DVC refuses it.
    """
    if way == "git" and (size := source.stat().st_size) > GIT_BYTES:
        raise DataError(f"{source} has {size} bytes, and git takes {GIT_BYTES}", "leave --git out: DVC takes any size")
    is_inside = source.absolute().is_relative_to(paths.EXTERNAL.absolute())
    path = source.absolute().relative_to(Path.cwd()) if is_inside else place(source, way)
    return path, _track(path, way)


def place(source: Path, way: Way) -> Path:
    """Put a file into data/external/ and return its path. Raises DataError: another of its name lies there."""
    path = paths.EXTERNAL / source.name
    if source.resolve() == path.resolve() and (way == "link" or not path.is_symlink()):
        return path
    if path.exists() and not path.is_symlink():
        if way != "link" and filecmp.cmp(source, path, shallow=False):
            return path
        raise DataError(f"{path} exists and is another file", "move it away, or name it in place of the other")
    source = source.resolve()
    path.unlink(missing_ok=True)
    _link(source, path) if way == "link" else _copy(source, path)
    return path


def _link(source: Path, path: Path) -> None:
    try:
        path.symlink_to(source)
    except OSError:  # a file system without links
        _copy(source, path)


def _copy(source: Path, path: Path) -> None:
    with files.atomic(path) as partial:
        shutil.copyfile(source, partial)


def _track(path: Path, way: Way) -> Tracking:
    """Let DVC track a file, unless git does or nothing can."""
    if way == "link":
        return Tracking("untracked: it is on this machine alone, and no clone or workflow finds it")
    if not _has_git():
        return Tracking("untracked, since this is no git repository")
    if way == "git" or provenance.git("ls-files", path.as_posix()):
        return Tracking("under git", (path.as_posix(),))
    if not (paths.root_of(Path.cwd()) / ".dvc").is_dir():
        return Tracking("untracked, since DVC was not set up: `dvc init`, then `lockstep init` again")
    entry = paths.EXTERNAL / path.relative_to(paths.EXTERNAL).parts[0]  # of a file deeper down, the folder
    done = subprocess.run([sys.executable, "-m", "dvc", "add", entry], capture_output=True, text=True, check=False)
    if done.returncode:
        cause = " ".join(done.stderr.split()) or f"`dvc add` ended with code {done.returncode}"
        raise DataError(f"DVC does not take {entry}: {cause}", "mend that, or say --git or --link")
    return Tracking("under DVC", (f"{entry.as_posix()}.dvc",))


def _has_git() -> bool:
    return bool(provenance.git("rev-parse", "--git-dir"))


def commit_command(tracking: Tracking, subject: str) -> str:
    """Return the command that commits a data file and what defines its model, for a shell in the project's root.

    Empty where there is no git repository.
    """
    if not _has_git():
        return ""
    folder = Path.cwd().relative_to(paths.root_of(Path.cwd()))
    names = [(folder / name).as_posix() for name in (*use_cases.definition(Path.cwd()), *map(Path, tracking.commit))]
    force = ["--force"] if tracking.state == "under git" else []  # .gitignore leaves out data/external/
    return f"{shlex.join(['git', 'add', *force, *names])} && {shlex.join(['git', 'commit', '-m', subject])}"
