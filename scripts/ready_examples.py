"""The ready examples that a script is asked to run, each with its source, where that is at hand."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from lockstep import paths
from lockstep.config import params_file

ROOT = Path(__file__).resolve().parent.parent


def asked(words: Sequence[str], about: str | None) -> Iterator[tuple[str, str]]:
    """Move to the project's root; yield name and source of each example, and name those whose file is missing."""
    os.chdir(ROOT)
    known = sorted(path.stem for path in paths.EXAMPLES.glob("*.yaml"))
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", metavar="DIR", help="their files")
    parser.add_argument("names", nargs="*", metavar="NAME", default=known, help=f"of {', '.join(known)} (default: all)")
    arguments = parser.parse_args(words)
    for name in arguments.names:
        source = params_file.load(paths.EXAMPLES / f"{name}.yaml").data_ingestion.named
        place = arguments.data.resolve() / Path(source).name
        if source.startswith("sklearn:"):
            yield name, source
        elif place.is_file():
            yield name, str(place)
        else:
            print(f"SKIPPED {name}: {place.name} is not in {arguments.data}", file=sys.stderr)
