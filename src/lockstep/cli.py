"""The command line: one module a command in `lockstep.commands`, imported when it is called."""

import argparse
import ast
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lockstep import paths
from lockstep.config.settings import Settings
from lockstep.runtime import logger
from lockstep.stage import guarded

COMMANDS = (
    *("init", "use", "probe", "doctor", "report", "promote", "rollback", "history", "export", "predict"),
    *("drift", "quality", "retrain", "verify", "contract", "serve", "log", "experiments"),
)


def entry() -> None:
    """Run the command line of this process and exit with its code."""
    sys.exit(guarded(lambda: main(sys.argv[1:]), "lockstep"))


def main(words: Sequence[str]) -> int:
    """Run one command in the project's root, wherever in the project it was called."""
    parser = build_parser(words)
    arguments = parser.parse_args(words)
    if arguments.command is None:
        parser.print_help()
        return 2
    settings = Settings.read(os.environ)
    logger.start(settings.log_level)
    root = paths.find_root(Path.cwd())
    if root:
        os.chdir(root)
    code: int = _module(arguments.command).run(arguments, settings)
    return code


def build_parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Describe every command; only the one that is called is imported and adds its arguments."""
    parser = argparse.ArgumentParser("lockstep", description="From params.yaml to a model service, in lockstep.")
    commands = parser.add_subparsers(dest="command", metavar="command")
    for name in COMMANDS:
        summary, _, rest = _docstring(name).partition("\n")
        subparser = commands.add_parser(
            name,
            help=summary.rstrip("."),
            description=summary,
            epilog=rest.strip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name in words:
            _module(name).add(subparser)
    return parser


def _docstring(command: str) -> str:
    source = Path(__file__).with_name("commands") / f"{command}.py"
    return ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""


def _module(command: str) -> Any:
    return importlib.import_module(f"lockstep.commands.{command}")
