"""The command line: one module a command in `lockstep.commands`, imported when it is called."""

import argparse
import ast
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from lockstep import paths
from lockstep.config import use_cases
from lockstep.config.settings import Settings
from lockstep.runtime import logger
from lockstep.stage import guarded

COMMANDS = (
    *("init", "use", "probe", "doctor", "report", "promote", "rollback", "history", "export", "predict"),
    *("drift", "quality", "retrain", "verify", "contract", "serve", "log", "experiments", "new", "upgrade"),
)
DEFINING = ("init", "use")
"""Commands that write a params.yaml: `--name` adds a model to the project. The others take `--model`."""
OF_A_PROJECT = ("new", "upgrade")
"""Commands about a project as a whole, which take neither."""


def entry() -> None:
    """Run the command line of this process and exit with its code."""
    sys.exit(guarded(lambda: main(sys.argv[1:]), "lockstep"))


def main(words: Sequence[str]) -> int:
    """Run one command in the folder of its model, wherever in the project it was called."""
    parser = build_parser(words)
    arguments = parser.parse_args(words)
    if arguments.command is None:
        parser.print_help()
        return 2
    settings = Settings.read(os.environ)
    logger.start(settings.log_level)
    settings = _enter(getattr(arguments, "model", ""), settings)
    name = getattr(arguments, "name", "")
    with use_cases.added(name) if name else nullcontext():
        code: int = _module(arguments.command).run(arguments, settings)
    return code


def _enter(model: str, settings: Settings) -> Settings:
    """Go to the folder of a model, by default the one around the current folder, and return its settings."""
    folder = paths.find_root(Path.cwd())
    if folder is None:
        return replace(settings, model_name=model or settings.model_name)
    root = paths.root_of(folder)
    folder = use_cases.folder_of(model, root) if model else folder
    os.chdir(folder)
    if folder == root:
        return replace(settings, model_name=model or settings.model_name)
    return replace(settings, model_name=folder.name, state=str(root / settings.state))


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
            if name not in OF_A_PROJECT:
                _add_model(subparser, name in DEFINING)
    return parser


def _add_model(parser: argparse.ArgumentParser, is_defining: bool) -> None:
    if is_defining:
        parser.add_argument("--name", default="", metavar="NAME", help="add a model of this name, in usecases/NAME")
    else:
        parser.add_argument("--model", default="", metavar="NAME", help="one of several models (default: the first)")


def _docstring(command: str) -> str:
    source = Path(__file__).with_name("commands") / f"{command}.py"
    return ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""


def _module(command: str) -> Any:
    return importlib.import_module(f"lockstep.commands.{command}")
