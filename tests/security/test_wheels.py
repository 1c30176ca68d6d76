"""The locks resolve to wheels on every platform and version of Python that is named, by the package index."""

import re

import pytest

from tests import ops

PLATFORMS = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "x86_64-apple-darwin", "aarch64-apple-darwin")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LOCKS = ("requirements.lock", "requirements-serve.lock", "requirements-dev.lock")

PURE = "antlr4-python3-runtime"
"""Pure Python, of which the index has the source alone, so pip builds it without a compiler; DVC needs it."""

COMPILED = {
    ("x86_64-apple-darwin", "requirements.lock"): {"cryptography"},
    ("x86_64-apple-darwin", "requirements-dev.lock"): {"cryptography"},
    ("x86_64-apple-darwin", "requirements-dev.lock", "3.11"): {"cryptography", "gevent", "llvmlite", "numba"},
    ("aarch64-apple-darwin", "requirements-dev.lock", "3.11"): {"gevent"},
}
"""Packages without a wheel by platform and lock, and where only one version of Python lacks them, by that: pip compiles
them. CONTRIBUTING.md names them."""


def without_wheel(lock, platform, python):
    """Return the packages of a lock that have no wheel."""
    names = set()
    for_platform = ("--python-platform", platform, "--python-version", python)
    wheels = ("--no-deps", "--require-hashes", "--only-binary", ":all:")
    while True:
        source = [word for name in sorted(names) for word in ("--no-binary", name)]
        command = (ops.tool("uv"), "pip", "install", "--dry-run", "--no-config", *wheels, *source, *for_platform)
        done = ops.run(*command, "--target", "/nonexistent", "-r", lock)
        if done.returncode == 0:
            return names
        if "error sending request" in done.stderr:
            pytest.skip("the package index is out of reach")
        missing = re.search(r"Wheels are required for `([\w.-]+)`", done.stderr.replace("\n", " "))
        assert missing and missing[1] not in names, done.stderr
        names.add(missing[1])


@pytest.mark.long("reads the package index for each lock, platform and version of Python")
@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_a_lock_resolves_to_wheels(lock, platform, python):
    pure = set() if lock == "requirements-serve.lock" else {PURE}
    compiled = COMPILED.get((platform, lock, python), COMPILED.get((platform, lock), set()))
    assert without_wheel(lock, platform, python) == pure | compiled


def test_the_guide_names_what_is_compiled():
    page = (ops.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [name for names in COMPILED.values() for name in names if f"`{name}`" not in page] == []
