"""The command line: one module a command in `lockstep.commands`, imported when it is called."""

import argparse
import ast
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import chdir, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lockstep import paths
from lockstep.config import use_cases
from lockstep.config.settings import Settings, model_names
from lockstep.runtime import logger
from lockstep.stage import guarded

COMMANDS = (
    *("init", "use", "probe", "doctor", "report", "promote", "rollback", "history", "export", "predict"),
    *("drift", "quality", "retrain", "verify", "contract", "serve", "log", "experiments", "labels"),
    *("new", "upgrade", "migrate"),
)

# Commands that write a params.yaml: `--name` adds a model to the project. The others take `--model`.
DEFINING = ("init", "use", "migrate")
OF_A_PROJECT = ("new", "upgrade")  # Commands about a project as a whole, which take neither.
# Commands that take `--all-models`: they run for one model after the other, and a failure does not stop the next.
REPEATABLE = ("probe", "report", "promote", "history", "drift", "quality", "retrain", "verify", "experiments", "labels")


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
    if getattr(arguments, "all_models", False):
        return _run_for_all(arguments, settings)
    return _run(arguments, settings, getattr(arguments, "model", ""))


def _run_for_all(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run the command for each model, and return the first exit code that is not 0."""
    codes = []
    for model in _all_models(settings):
        with chdir("."):
            codes.append(guarded(partial(_run, arguments, settings, model), model))
    return next((code for code in codes if code), 0)


def _all_models(settings: Settings) -> tuple[str, ...]:
    """Return the models of the project around the current folder; without one those that the settings name."""
    folder = paths.find_root(Path.cwd())
    return use_cases.names(paths.root_of(folder)) if folder else model_names(settings)


def _run(arguments: argparse.Namespace, settings: Settings, model: str) -> int:
    """Run the command for a model, by default the one around the current folder."""
    settings = _enter(model, settings)
    name = getattr(arguments, "name", "")
    with use_cases.added(name) if name else nullcontext():
        code: int = _module(arguments.command).run(arguments, settings)
    return code


def _enter(model: str, settings: Settings) -> Settings:
    """Go to the folder of a model, by default the one around the current folder, and return its settings."""
    folder = _folder_of(model)
    if folder is None:
        return replace(settings, model_name=model or settings.model_name)
    root = paths.root_of(folder)
    os.chdir(folder)
    if folder == root:
        return replace(settings, model_name=model or settings.model_name)
    return replace(settings, model_name=folder.name, state=str(root / settings.state))


def _folder_of(model: str) -> Path | None:
    """Return the folder of a model in the project around the current folder, or in an image, which has no dvc.yaml."""
    folder = paths.find_root(Path.cwd())
    if folder is None:
        use_case = Path.cwd() / paths.USE_CASES / model
        return use_case if model and (use_case / paths.PARAMS).is_file() else None
    return use_cases.folder_of(model, paths.root_of(folder)) if model else folder


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
                _add_model(subparser, name)
    return parser


def _add_model(parser: argparse.ArgumentParser, command: str) -> None:
    if command in DEFINING:
        parser.add_argument("--name", default="", metavar="NAME", help="add a model of this name, in usecases/NAME")
        return
    models = parser.add_mutually_exclusive_group()
    models.add_argument("--model", default="", metavar="NAME", help="one of several models (default: the first)")
    if command in REPEATABLE:
        models.add_argument("--all-models", action="store_true", help="every model, one after the other")


def _docstring(command: str) -> str:
    source = Path(__file__).with_name("commands") / f"{command}.py"
    return ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""


def _module(command: str) -> Any:
    return importlib.import_module(f"lockstep.commands.{command}")
