"""Remove files that a server never reads from a virtual environment, and keep modules as bytecode only.

Example: python slim_image.py /opt/lockstep
"""

import compileall
import shutil
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

BOTO = ("s3", "sts", "sso", "sso-oidc", "signin")
"""AWS services that MLflow uses for artifacts in a bucket."""

UNREAD = {
    "tests of the packages": ("**/tests", "**/test", "**/conftest.py"),
    "sources of extension modules": ("**/*.pyx", "**/*.pxd", "**/*.pxi", "**/*.tp", "**/*.h", "**/*.c", "**/*.cpp"),
    "libraries to link with": ("**/*.a",),
    "types for editors": ("**/*.pyi",),
    "data sets of scikit-learn": ("sklearn/datasets/data", "sklearn/datasets/images", "sklearn/datasets/descr"),
    "the client of Databricks": ("databricks/sdk",),
    "services of AWS that MLflow does not ask": ("botocore/data/*/",),
}
"""Removed files, by pattern below site-packages."""


def slim(site: Path) -> dict[str, int]:
    """Take out what is unread, and return how many bytes each kind was."""
    return {kind: sum(_remove(path) for path in _matching(site, patterns)) for kind, patterns in UNREAD.items()}


def _matching(site: Path, patterns: tuple[str, ...]) -> list[Path]:
    matches = [path for pattern in patterns for path in site.glob(pattern)]
    return [path for path in matches if not (path.parent == site / "botocore" / "data" and _is_used(path))]


def _is_used(path: Path) -> bool:
    """Return whether a folder of botocore describes a service in use; all of its files are needed."""
    return path.name in BOTO or not path.is_dir()


def _remove(path: Path) -> int:
    if not path.exists():  # a folder around it is gone already
        return 0
    size = sum(each.stat().st_size for each in [path, *path.rglob("*")] if each.is_file() and not each.is_symlink())
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    return size


def leave_bytecode(site: Path) -> int:
    """Compile every module and remove its source, and return how many bytes the sources were.

    A source that does not compile, such as a template, stays. Without times in it, and from one process, since what a
    process has compiled before shows in its bytecode, two builds have the same bytecode.
    """
    compileall.compile_dir(site, quiet=2, legacy=True, workers=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    return sum(_remove(source) for source in site.rglob("*.py") if source.with_suffix(".pyc").is_file())


def main(words: list[str]) -> None:
    """Slim the environment that is named, and print what that saved."""
    (site,) = Path(words[0]).glob("lib/python3*/site-packages")
    saved = slim(site) | {"sources of modules whose bytecode stays": leave_bytecode(site)}
    left = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    for kind, size in saved.items():
        print(f"{size / 1e6:7.1f} MB  {kind}")
    print(f"{left / 1e6:7.1f} MB  left")


if __name__ == "__main__":
    main(sys.argv[1:])
