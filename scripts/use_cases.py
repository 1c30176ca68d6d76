"""Render the files that use cases have from the root, such as dvc.yaml, after a change there.

Example: python scripts/use_cases.py; python scripts/use_cases.py --check
"""

import sys
from pathlib import Path

from lockstep import files
from lockstep.config import use_cases

ROOT = Path(__file__).resolve().parents[1]


def main(words: list[str]) -> int:
    """Write what differs, or only name it with --check; exit 1 if anything differed."""
    _, *folders = use_cases.folders(ROOT)
    template = use_cases.render(ROOT)
    rendered = {
        folder / path: content for folder in folders for path, content in (template | use_cases.missing(folder)).items()
    }
    stale = [path for path, content in rendered.items() if not path.is_file() or path.read_bytes() != content]
    for path in stale:
        if "--check" not in words:
            files.write_bytes(rendered[path], path)
        print(f"{path.relative_to(ROOT)}: differs from the root's; run python scripts/use_cases.py", file=sys.stderr)
    return int("--check" in words and bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
