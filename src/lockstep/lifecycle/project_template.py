"""Project template: the files that a wheel carries, unpacked into a new project or merged into an edited one.

A merge is that of git: the step from the old release's template to the new one's is picked onto the project's commit.
So what user and release have changed in different lines is kept, and the same lines become a conflict.
"""

import importlib.metadata
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lockstep import files, paths
from lockstep.errors import ConfigError
from lockstep.runtime.release import DISTRIBUTION

ARCHIVE = "lockstep/template.tar.xz"
WHEELS = Path("wheels")  # Where a project holds the wheel that it depends on, so that no package index is asked for it.
# Of the commits that a merge makes of two templates, which no branch of the project holds.
AUTHOR = ("-c", f"user.name={DISTRIBUTION}", "-c", "user.email=none", "-c", "commit.gpgSign=false")


def installed_wheel() -> Path:
    """Return the wheel file of this installation. Raises ConfigError: there was none, or it is gone."""
    try:
        record = importlib.metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        record = None
    path = Path(unquote(urlsplit(json.loads(record or "{}").get("url", "")).path))
    if path.suffix != ".whl" or not path.is_file():
        raise ConfigError(
            "the wheel that this library was installed from is not at hand",
            "name it with --wheel; in the repository of the library, `pip wheel --no-deps .` builds it",
        )
    return path


def unpack(wheel: Path, folder: Path) -> None:
    """Write the template of a wheel into a folder, with the wheel and the requirement that pins it.

    Raises ConfigError: the file is no wheel of this library with a template.
    """
    try:
        _, version, *_ = wheel.name.split("-")
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(ARCHIVE)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        raise ConfigError(
            f"{wheel} is no wheel of {DISTRIBUTION} with the template of a project",
            "`pip wheel --no-deps .` in the repository of the library builds one",
        ) from None
    with tarfile.open(fileobj=io.BytesIO(content)) as template:
        template.extractall(folder, filter="data")
    (folder / WHEELS).mkdir(exist_ok=True)
    shutil.copyfile(wheel, folder / WHEELS / wheel.name)
    files.write_bytes(f"{DISTRIBUTION}=={version} --hash=sha256:{files.sha256(wheel)}\n".encode(), folder / paths.PIN)


def create(folder: Path, wheel: Path) -> None:
    """Make a project in a new or empty folder, in a git repository of its own unless it lies in one.

    Raises ConfigError: something is in the folder.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists and is not empty", "name a new folder; `lockstep upgrade` renews a project")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".lockstep-new-", dir=folder.parent) as partial:
        project = Path(partial) / folder.name
        unpack(wheel, project)
        if _git("rev-parse", "--git-dir", cwd=folder.parent).returncode:
            _checked("init", "--quiet", cwd=project)
        project.replace(folder)


def pinned_wheel() -> Path:
    """Return the wheel that the project in the current folder depends on.

    Raises ConfigError: this is no project of `lockstep new`, or its wheel is gone.
    """
    if not paths.PIN.is_file():
        raise ConfigError(f"there is no {paths.PIN} here", "run it in a project that `lockstep new` made")
    pin = paths.PIN.read_text(encoding="utf-8")
    wheel = next((path for path in sorted(WHEELS.glob("*.whl")) if files.sha256(path) in pin), None)
    if wheel is None:
        raise ConfigError(
            f"{WHEELS}/ has no wheel of the digest in {paths.PIN}", f"git checkout HEAD -- {WHEELS} {paths.PIN}"
        )
    return wheel


def merge(old: Path, new: Path) -> tuple[list[str], list[str]]:
    """Merge what changed between the templates of two wheels into the project; return changed and conflicting files.

    The result is staged, and not committed. Raises ConfigError: git refuses, and the project is as it was.
    """
    if _checked("rev-parse", "--show-prefix") or _checked("status", "--porcelain", "--untracked-files=no"):
        raise ConfigError("the project has changes without a commit, or is no repository of its own", "git commit -a")
    with tempfile.TemporaryDirectory() as folder:
        _commit_templates(old, new, Path(folder))
        _checked("fetch", "--quiet", "--no-tags", folder, "HEAD")
    picked = _git("cherry-pick", "--no-commit", "FETCH_HEAD")
    conflicts = _checked("diff", "--name-only", "--diff-filter=U").splitlines()
    if picked.returncode and not conflicts:
        raise ConfigError(f"git cannot merge: {picked.stderr}", "move these files away, then try again")
    changed = _checked("diff", "--name-only", "HEAD").splitlines()
    return [name for name in changed if name not in conflicts], conflicts


def _commit_templates(old: Path, new: Path, folder: Path) -> None:
    """Make a repository with two commits, whose difference is the step between the templates of two wheels."""
    _checked("init", "--quiet", cwd=folder)
    for wheel in (old, new):
        _checked("rm", "-r", "--quiet", "--ignore-unmatch", ".", cwd=folder)
        unpack(wheel, folder)
        _checked("add", "--all", "--force", cwd=folder)
        _checked(*AUTHOR, "commit", "--quiet", "--allow-empty", "--no-verify", "-m", wheel.stem, cwd=folder)


def _checked(*words: str, cwd: Path | None = None) -> str:
    """Return what git prints. Raises ConfigError: it fails."""
    done = _git(*words, cwd=cwd)
    if done.returncode:
        raise ConfigError(f"git fails: {done.stderr}", "a project is the root of a git repository with a commit")
    return done.stdout.strip()


def _git(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=cwd, capture_output=True, text=True, check=False)
