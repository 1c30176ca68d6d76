"""An audit hook that refuses to open the user's files, so that product tests hold in every user's project."""

import os
import sys

from tests.root import ROOT, USER_FILES

PREFIXES = tuple(str(ROOT / name) for name in USER_FILES)
ALLOWED = (str(ROOT / ".lockstep/npm"),)
"""`make setup-ops` puts a tool of the tests there."""


class UserFileOpened(AssertionError):
    """A product test opened a file of the user's project."""


def lies_in(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder + os.sep) for folder in folders)


def refuse(event: str, arguments: tuple) -> None:
    """Raise where this process opens a file of the user's project."""
    if event == "open" and isinstance(arguments[0], str | bytes):
        name, by_os_open = os.fsdecode(arguments[0]), arguments[1] is None
        if by_os_open and not os.path.isabs(name):  # noqa: PTH117 - may be relative to a descriptor, as in rmtree
            return
        path = os.path.abspath(name)  # noqa: PTH100 - cheap, called on every open
        if lies_in(path, PREFIXES) and not lies_in(path, ALLOWED):
            raise UserFileOpened(f"a product test opens {path}, a file of the user's project; use one of its own")


def install() -> None:
    """Install the hook for the rest of this process; an audit hook cannot be removed."""
    sys.addaudithook(refuse)
