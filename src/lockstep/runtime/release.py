"""Release of this library: the name of its distribution, and its version, which `setup.py` reads from here."""

from importlib import metadata

DISTRIBUTION = "lockstep-mlops"  # `lockstep` alone, and the names nearest to it, belong to others on the package index.
VERSION = "0.1.0"


def version_of(package: str) -> str:
    """Return the version of a package by its import name. Raises PackageNotFoundError: it is not installed."""
    return VERSION if package == "lockstep" else metadata.version(package)
