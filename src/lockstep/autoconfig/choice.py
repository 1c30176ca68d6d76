"""One thing that was decided about a data set, and why."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """What it is about, what was decided, from what; and what a person should look at, if anything."""

    about: str
    decided: str
    why: str
    look: str = ""
