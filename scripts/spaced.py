"""Repair the scripts of a virtual environment whose path contains a space, which a shebang line must not.

pip does so for the entry points that it generates, but not for scripts that a package ships.
"""

import sys
from pathlib import Path

FIRST = b"""#!/bin/sh
'''exec' "$(dirname "$0")/python" "$0" "$@"
' '''
"""
"""The shell starts Python, to which these lines are a text that nobody reads."""


def mend(program: Path) -> bool:
    """Give a program such first lines if it needs them; tell whether it did."""
    first, _, rest = program.read_bytes().partition(b"\n")
    if not (first.startswith(b"#!") and b" " in first and first.rstrip().endswith(b"/python")):
        return False
    program.write_bytes(FIRST + rest)
    return True


if __name__ == "__main__":
    for path in sorted(Path(sys.argv[1]).iterdir()):
        if path.is_file() and not path.is_symlink():
            mend(path)
