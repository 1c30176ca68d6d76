"""Put a ready example in place: its params.yaml, and a link to its data in data/external/.

Example: lockstep use housing --source ~/Downloads/housing.csv
"""

import argparse
import os
import re
from pathlib import Path

from lockstep import files, paths
from lockstep.config import params_file, use_cases
from lockstep.config.settings import Settings
from lockstep.data.sources import read
from lockstep.errors import ConfigError, DataError, nearest
from lockstep.lifecycle import data_file

SOURCE_LINE = re.compile(r"^( +source: ).*$", re.MULTILINE)
NAME_LINE = re.compile(r"^( +model_name: )([\w.-]+)", re.MULTILINE)


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("example", help="breast-cancer, iris, iris-algorithms, housing, sentiment or toxicity")
    parser.add_argument("--source", type=from_here, metavar="PATH", help="where the data file lies")
    parser.add_argument("--force", action="store_true", help="replace a params.yaml that was edited by hand")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Write params.yaml and say what comes next."""
    name = use_cases.name_of(Path.cwd())
    text = NAME_LINE.sub(lambda match: f"{match[1]}{name or match[2]}", _example(arguments.example), count=1)
    source = arguments.source or params_file.parse(text).data_ingestion.named
    _keep_edits(arguments.force)
    location = _in_place(source, is_default=arguments.source is not None)
    text = SOURCE_LINE.sub(lambda match: f"{match[1]}{_quoted(location)}", text, count=1)
    params_file.parse(text, arguments.example)
    files.write_bytes(text.encode(), paths.PARAMS)
    print(f"params.yaml is that of {arguments.example}, reading {location}\nnext: make run (or dvc repro)")
    return 0


def _example(name: str) -> str:
    examples = {path.stem: path for path in sorted(_examples().glob("*.yaml"))}
    if name not in examples:
        raise ConfigError(f"no example {name!r}{nearest(name, examples)}", f"there are {', '.join(examples)}")
    return examples[name].read_text(encoding="utf-8")


def _examples() -> Path:
    return paths.root_of(Path.cwd()) / paths.EXAMPLES


def _keep_edits(force: bool) -> None:
    """Refuse to overwrite a params.yaml that is no example's, so that nobody's edits are lost."""
    if not force and paths.PARAMS.exists() and not is_example():
        raise ConfigError("params.yaml was edited by hand", "commit or copy it, then say --force to replace it")


def is_example() -> bool:
    """Tell whether params.yaml is that of an example, whatever its source and the model's name."""
    return _bare(paths.PARAMS) in map(_bare, _examples().glob("*.yaml"))


def _bare(path: Path) -> str:
    return NAME_LINE.sub("", SOURCE_LINE.sub("", path.read_text(encoding="utf-8")))


def _in_place(source: str, is_default: bool) -> str:
    """Return the source as params.yaml names it; a file from elsewhere is linked into data/external/."""
    if read.scheme(source):
        return source
    if not Path(source).is_file():
        hint = "check the path" if is_default else "get the file (docs/examples.md says where) and add --source PATH"
        raise DataError(f"{source} not found", hint)
    return data_file.place(Path(source), "link").as_posix()


def from_here(text: str) -> str:
    """Make a path absolute before the command moves to the project's root; leave `sklearn:name` and addresses alone."""
    return text if read.scheme(text) or "://" in text else os.path.abspath(Path(text).expanduser())  # noqa: PTH100


def _quoted(source: str) -> str:
    return (
        source if re.fullmatch(r"[\w./:-]+", source) else '"' + source.replace("\\", "\\\\").replace('"', '\\"') + '"'
    )
