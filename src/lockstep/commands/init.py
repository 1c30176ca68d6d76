"""Look at a data set and write the params.yaml that fits it, with the reasons.

Example: lockstep init churn.csv --target churned
         lockstep init "postgresql://me@db/shop" --query "select * from customers" --target churned
"""

import argparse
import json
import sys
from pathlib import Path

from lockstep import files, paths
from lockstep.autoconfig.inspect import InitOptions, Survey, survey
from lockstep.commands import use
from lockstep.config import params_file, use_cases
from lockstep.config.params import FORMATS, DataIngestion
from lockstep.config.settings import Settings
from lockstep.data.sources import read
from lockstep.errors import ConfigError
from lockstep.lifecycle import data_file
from lockstep.lifecycle.data_file import Tracking

WAYS = (
    ("dvc", "--copy", "copy a file from elsewhere into data/external/ and put it under DVC (default)"),
    ("git", "--git", "copy it and put it under git, for a file of at most 1 MB"),
    ("link", "--link", "link it and track it nowhere: for this machine alone"),
)
BACKUP = paths.PARAMS.with_suffix(".yaml.bak")


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", type=use.from_here, metavar="FILE", help="a file, pattern, address, or sklearn:NAME")
    parser.add_argument("--target", metavar="COL", help="the column to predict: its name, or its number from 1 on")
    parser.add_argument("--query", default="", help="the select to read, for a database")
    parser.add_argument("--names", default="", metavar="A,B,...", help="names of the columns, for a file without them")
    parser.add_argument("--header", action=argparse.BooleanOptionalAction, help="whether the first line names columns")
    parser.add_argument("--keep", action="append", default=[], metavar="COL", help="a feature, whatever it looks like")
    parser.add_argument("--ignore", action="append", default=[], metavar="COL", help="no feature")
    parser.add_argument(
        "--encoding", default="", metavar="NAME", help="how the file's letters are written, as in cp1252"
    )
    parser.add_argument("--separator", default="", metavar="MARK", help="what stands between two values; \\t is a tab")
    parser.add_argument("--skip", type=int, metavar="N", help="lines above the header that are left out")
    parser.add_argument(
        "--missing", action="append", default=[], metavar="TEXT", help="a text that means a missing value"
    )
    parser.add_argument(
        "--sheet", default="0", metavar="NAME", help="the sheet of a spreadsheet: a name, or its number"
    )
    parser.add_argument(
        "--format", default="auto", choices=("auto", *FORMATS), help="what the file is, whatever it is called"
    )
    parser.add_argument("--model-name", metavar="NAME", help="its name in the registry (default: that of the file)")
    ways = parser.add_mutually_exclusive_group()
    ways.set_defaults(way="dvc")
    for way, words, does in WAYS:
        ways.add_argument(words, dest="way", action="store_const", const=way, help=does)
    parser.add_argument("--allow-private", action="store_true", help="let an address lead into a private network")
    parser.add_argument("--force", action="store_true", help="replace params.yaml; the old one becomes params.yaml.bak")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Inspect the source, write params.yaml and say what was decided."""
    check_place(arguments.force)
    ingestion = DataIngestion(
        source=arguments.source, query=arguments.query, allow_private=arguments.allow_private, format=arguments.format
    )
    result = survey(ingestion, _options(arguments), settings.source_password)
    source, tracking = take(arguments.source, arguments.way)
    text = result.text.replace(_source_line(arguments.source), _source_line(source), 1)
    params_file.parse(text)
    replace_params(text)
    commit = data_file.commit_command(tracking, f"Train on {Path(source).name}")
    (_print_json if arguments.json else _print)(result, source, tracking, commit)
    return 0


def check_place(force: bool) -> None:
    """Refuse to write outside of a project, or over a params.yaml that is no example's."""
    if not paths.PIPELINE.exists():
        raise ConfigError("there is no dvc.yaml here", "run it inside a Lockstep project, a copy of this repository")
    if paths.PARAMS.exists() and not force and not use.is_example():
        raise ConfigError(
            "params.yaml is not that of an example, and would be replaced",
            f"say --force to replace it; the old one becomes {BACKUP}",
        )


def replace_params(text: str) -> None:
    """Write params.yaml, and keep the old one beside it."""
    if paths.PARAMS.exists():
        files.write_bytes(paths.PARAMS.read_bytes(), BACKUP)
    files.write_bytes(text.encode(), paths.PARAMS)


def _options(arguments: argparse.Namespace) -> InitOptions:
    return InitOptions(
        arguments.target,
        arguments.header,
        tuple(filter(None, arguments.names.split(","))),
        tuple(arguments.keep),
        tuple(arguments.ignore),
        arguments.model_name or use_cases.name_of(Path.cwd()) or None,
        arguments.encoding,
        arguments.separator.replace("\\t", "\t"),
        int(arguments.sheet) if arguments.sheet.isdecimal() else arguments.sheet,
        tuple(arguments.missing),
        arguments.skip,
    )


def take(source: str, way: data_file.Way) -> tuple[str, Tracking]:
    """Return what params.yaml calls the source, and how it is tracked: a file from elsewhere goes to data/external/."""
    path = Path(source)
    if not read.scheme(source) and path.is_file():
        placed, tracking = data_file.take(path, way)
        return placed.as_posix(), tracking
    if not read.scheme(source) and path.is_relative_to(paths.EXTERNAL.absolute()):
        source = path.relative_to(Path.cwd()).as_posix()  # a pattern
    return source, Tracking("")


def _source_line(source: str) -> str:
    from lockstep.autoconfig.params_writer import flow

    return f"  source: {flow(source)}\n"


def _print(result: Survey, source: str, tracking: Tracking, commit: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table("about", "decided", "why", box=None, header_style="bold", title_justify="left")
    for choice in result.decisions:
        table.add_row(escape(choice.about), escape(choice.decided), escape(choice.why))
    console.print(table)
    if looks := [choice.look for choice in result.decisions if choice.look]:
        console.print("\nLook at:", style="bold")
        for look in looks:
            console.print(f"- {escape(look)}", highlight=False)
    console.print(f"\nparams.yaml is written for {result.rows} rows of {escape(source)}", highlight=False)
    if tracking.state:
        console.print(f"{escape(source)} is {tracking.state}", highlight=False)
    if commit:
        console.print(f"commit: {escape(commit)}", highlight=False, soft_wrap=True)
    after = "; then commit dvc.lock and reports/" if commit else ""
    console.print(f"next: read params.yaml, then make run (or dvc repro){after}", highlight=False)


def _print_json(result: Survey, source: str, tracking: Tracking, commit: str) -> None:
    decisions = [vars(choice) for choice in result.decisions]
    content = {"source": source, "rows": result.rows, "data": tracking.state, "commit": commit, "decisions": decisions}
    print(json.dumps(content, ensure_ascii=False, indent=2))
