"""Put a ready example in place: its params.yaml, and a link to its data in data/external/.

Example: lockstep use housing --source ~/Downloads/housing.csv
"""

import argparse
import os
import re
import shutil
from pathlib import Path

from lockstep import files, paths
from lockstep.config import params_file
from lockstep.config.settings import Settings
from lockstep.data.sources import read
from lockstep.errors import ConfigError, DataError, nearest

SOURCE_LINE = re.compile(r"^( +source: ).*$", re.MULTILINE)


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("example", help="breast-cancer, iris, housing, sentiment or toxicity")
    parser.add_argument("--source", type=from_here, metavar="PATH", help="where the data file lies")
    parser.add_argument("--force", action="store_true", help="replace a params.yaml that was edited by hand")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Write params.yaml and say what comes next."""
    text = _example(arguments.example)
    source = arguments.source or params_file.parse(text).data_ingestion.named
    _keep_edits(arguments.force)
    location = _in_place(source, is_default=arguments.source is not None)
    text = SOURCE_LINE.sub(lambda match: f"{match[1]}{_quoted(location)}", text, count=1)
    params_file.parse(text, arguments.example)
    files.write_bytes(text.encode(), paths.PARAMS)
    print(f"params.yaml is that of {arguments.example}, reading {location}\nnext: make run (or dvc repro)")
    return 0


def _example(name: str) -> str:
    examples = sorted(path.stem for path in paths.EXAMPLES.glob("*.yaml"))
    if name not in examples:
        raise ConfigError(f"no example {name!r}{nearest(name, examples)}", f"there are {', '.join(examples)}")
    return (paths.EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")


def _keep_edits(force: bool) -> None:
    """Refuse to overwrite a params.yaml that is no example's, so that nobody's edits are lost."""
    if not force and paths.PARAMS.exists() and not is_example():
        raise ConfigError("params.yaml was edited by hand", "commit or copy it, then say --force to replace it")


def is_example() -> bool:
    """Tell whether params.yaml is that of an example, whatever its source."""
    bare = {SOURCE_LINE.sub("", path.read_text(encoding="utf-8")) for path in paths.EXAMPLES.glob("*.yaml")}
    return SOURCE_LINE.sub("", paths.PARAMS.read_text(encoding="utf-8")) in bare


def _in_place(source: str, is_default: bool) -> str:
    """Return the source as params.yaml names it; a file from elsewhere is linked into data/external/."""
    if read.scheme(source):
        return source
    if not Path(source).is_file():
        hint = "check the path" if is_default else "get the file (docs/examples.md says where) and add --source PATH"
        raise DataError(f"{source} not found", hint)
    return link_into_place(source)


def link_into_place(source: str) -> str:
    """Link a file into data/external/, unless it lies there, and return the link's path."""
    path = Path(source)
    link = paths.EXTERNAL / path.name
    if path.resolve() != link.resolve():
        _link(path.resolve(), link)
    return link.as_posix()


def _link(target: Path, link: Path) -> None:
    if link.exists() and not link.is_symlink():
        raise DataError(f"{link} exists and is another file", "move it away, or use it as --source")
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(target)
    except OSError:  # a file system without links
        with files.atomic(link) as partial:
            shutil.copyfile(target, partial)


def from_here(text: str) -> str:
    """Make a path absolute before the command moves to the project's root; leave `sklearn:name` and addresses alone."""
    return text if read.scheme(text) or "://" in text else os.path.abspath(Path(text).expanduser())  # noqa: PTH100


def _quoted(source: str) -> str:
    return (
        source if re.fullmatch(r"[\w./:-]+", source) else '"' + source.replace("\\", "\\\\").replace('"', '\\"') + '"'
    )
