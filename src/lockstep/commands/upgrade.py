"""Move a project to another release: merge what its template has changed, and depend on its wheel.

The result is staged. Files in conflict hold conflict markers and are listed; the exit code is then 1.
`git reset --hard` undoes it all.

Example: lockstep upgrade ~/Downloads/lockstep_mlops-0.2.0-py3-none-any.whl
"""

import argparse
from pathlib import Path

from lockstep.config.settings import Settings
from lockstep.lifecycle import project_template

NEXT = "make setup && python scripts/use_cases.py && make repro, then git commit -a"


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("wheel", type=lambda text: Path(text).expanduser().absolute(), help="wheel of the new release")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Merge, and say what has changed and what is in conflict."""
    old = project_template.pinned_wheel()
    changed, conflicts = project_template.merge(old, arguments.wheel)
    print("\n".join([f"{old.name} -> {arguments.wheel.name}", *(f"changed   {name}" for name in changed)]))
    if conflicts:
        print("\n".join(f"CONFLICT  {name}" for name in conflicts))
        print(f"next: mend these files, git add them, then {NEXT}\nundo: git reset --hard")
        return 1
    print(f"next: {NEXT}")
    return 0
