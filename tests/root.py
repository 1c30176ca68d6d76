"""The root of the project, for tests at any depth, and which of its files are the user's and not the product's."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "breast-cancer.yaml"
USER_FILES = ("params.yaml", "features.py", "dvc.lock", "data", "models", "reports", ".lockstep")
"""What differs from one user's project to the next. Product tests make their own; tests_project/ checks these."""


def is_user_file(name: str) -> bool:
    """Return whether a path relative to the root is, or lies in, a file or folder of the user."""
    return name.partition("/")[0] in USER_FILES
