"""Ready examples selected on the command line, each with its source file."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from lockstep import paths
from lockstep.config import params_file

ROOT = Path(__file__).resolve().parent.parent


def selected_examples(arguments: Sequence[str], description: str | None) -> Iterator[tuple[str, str]]:
    """Change to the project root; yield name and source of each example, and report those whose file is missing."""
    os.chdir(ROOT)
    names = sorted(example.stem for example in paths.EXAMPLES.glob("*.yaml"))
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", metavar="DIR", help="folder with the source files"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", default=names, help=f"of {', '.join(names)} (default: all)")
    options = parser.parse_args(arguments)
    for name in options.names:
        source = params_file.load(paths.EXAMPLES / f"{name}.yaml").data_ingestion.named
        path = options.data.resolve() / Path(source).name
        if source.startswith("sklearn:"):
            yield name, source
        elif path.is_file():
            yield name, str(path)
        else:
            print(f"SKIPPED {name}: {path.name} is not in {options.data}", file=sys.stderr)
