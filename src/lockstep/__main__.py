"""Run the command line as `python -m lockstep`."""

from lockstep.cli import entry

entry()
