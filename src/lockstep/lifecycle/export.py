"""Export of a version into a folder for an image: its bundle, and a note on its provenance.

Example: python -m lockstep.lifecycle.export build/model
"""

import shutil
import sys
from pathlib import Path

from lockstep import files, paths
from lockstep.config import params_file
from lockstep.errors import ArtifactError
from lockstep.features import derived
from lockstep.inference import compiled_cache
from lockstep.registry.model_registry import Registry, Version
from lockstep.stage import guarded

# What the note repeats of a version's tags.
PROVENANCE = ("model_sha256", "git_commit", "git_dirty", "dvc_lock", "params_sha256", "data_sha256", "feedback_rows")
FUNCTIONS = "features"  # The folder of an export with the project's code, which the image takes from there.


def export(registry: Registry, version: Version, folder: Path) -> dict[str, str]:
    """Put a version into a folder of its own, in place of what was there, and return its note.

    Raises ArtifactError: the folder holds something else.
    """
    note = {"model": version.name, "version": version.version, "sha256": version.sha256}
    note |= {name: version.tags[name] for name in PROVENANCE if name in version.tags}
    if folder.is_dir() and any(folder.iterdir()) and not (folder / paths.REGISTERED.name).is_file():
        raise ArtifactError(f"{folder} holds other files", "name a new folder, or one that an export made")
    registry.download(version, folder)
    copy_functions(folder / FUNCTIONS)
    files.write_json(note, folder / paths.REGISTERED.name)
    return note


def copy_functions(folder: Path) -> None:
    """Copy every features.py of this project, by its digest, in place of what came with the download."""
    shutil.rmtree(folder, ignore_errors=True)
    for content in (path.read_bytes() for path in derived.sources() if path.is_file()):
        files.write_bytes(content, folder / f"{files.sha256_bytes(content)}.py")
    folder.mkdir(exist_ok=True)


def check(folder: Path, wanted: str) -> None:
    """Load a folder as a server would, which leaves the compiled form there.

    Raises ArtifactError: its files are not those that its note names, or are of another model than wanted.
    """
    try:
        note = files.read_json(folder / paths.REGISTERED.name)
    except FileNotFoundError:
        raise ArtifactError(f"{folder} holds no exported model", f"run `lockstep export {folder}`") from None
    if note["model"] != wanted:
        raise ArtifactError(
            f"{folder} holds the model {note['model']!r}, and not {wanted!r}",
            f"run `lockstep export --model {wanted} {folder}` again",
        )
    compiled_cache.load(folder, note["sha256"])


def main(words: list[str]) -> int:
    """Check the folder that is named, with the model of params.yaml, and those of use cases below it."""
    folder = Path(words[0])
    check(folder, params_file.load().register_model.model_name)
    for use_case in sorted((folder / paths.USE_CASES).glob("*")):
        check(use_case, use_case.name)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(lambda: main(sys.argv[1:]), "baked"))
