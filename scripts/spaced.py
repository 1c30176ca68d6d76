"""Let the programs of a virtual environment start where its path holds a space, which no first line may hold.

pip sees to that for programs that it makes itself, and not for those that a package brings along.
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
