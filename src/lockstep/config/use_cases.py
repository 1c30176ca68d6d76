"""Use cases: the models of a project beside the first, each in a folder of `usecases/` that is named as its model.

A use case has a params.yaml, dvc.lock, data, models and reports of its own. Its dvc.yaml and .gitignore are rendered
from those of the root, which are the template. Registry, prediction log and model cache are those of the project.
"""

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from lockstep import files, paths
from lockstep.config import params_file
from lockstep.config.params import RegisterModel
from lockstep.errors import ConfigError, nearest

# Files of the root that a use case has too; git keeps data/external by the second, and DVC needs the folder.
COPIED = (Path(".gitignore"), paths.EXTERNAL / "README.md")
NOTE = "# Rendered from the dvc.yaml of the root: change that one, then `python scripts/use_cases.py`.\n"
# The features.py that a use case begins with: DVC watches the file, so it has to be there.
FUNCTIONS = b'"""Derived columns: functions that `feature_engineering.functions` of params.yaml names."""\n'
# Where a path to the code begins, or to the requirement of the library.
CODE = re.compile(r"(?<=[\s])(?=src/|requirements-)")


def folders(root: Path) -> list[Path]:
    """Return the folders of a project's models: its root, then the use cases by name."""
    return [root, *sorted(path.parent for path in (root / paths.USE_CASES).glob(f"*/{paths.PARAMS}"))]


def names(root: Path) -> tuple[str, ...]:
    """Return the names of a project's models, that of the root first."""
    _, *others = folders(root)
    return (params_file.load(root / paths.PARAMS).register_model.model_name, *(folder.name for folder in others))


def folder_of(model: str, root: Path) -> Path:
    """Return the folder of a model. Raises ConfigError: the project has no such model."""
    _, *others = folders(root)
    if folder := next((folder for folder in others if folder.name == model), None):
        return folder
    first, *_ = models = names(root)
    if model != first:
        hint = f"there are {', '.join(models)}; `lockstep init FILE --target COL --name NAME` adds one"
        raise ConfigError(f"this project has no model {model!r}{nearest(model, models)}", hint)
    return root


def name_of(folder: Path) -> str:
    """Return the name of the use case whose folder this is; empty for the root of a project."""
    return folder.name if paths.root_of(folder) != folder else ""


def bundle_folder(folder: Path, model: str) -> Path:
    """Return where an image has the bundle of a model: beside that of the root, as the project has its folder."""
    beside = folder / paths.USE_CASES / model
    return beside if beside.is_dir() else folder


def render(root: Path) -> dict[Path, bytes]:
    """Return the files of a use case that follow from the root's, by their paths in its folder."""
    pipeline = NOTE + CODE.sub("../../", (root / paths.PIPELINE).read_text(encoding="utf-8"))
    copied = {path: (root / path).read_bytes() for path in COPIED if (root / path).is_file()}
    return {paths.PIPELINE: pipeline.encode(), **copied}


def missing(folder: Path) -> dict[Path, bytes]:
    """Return the files that a use case begins with and lacks, by their paths in its folder."""
    return {} if (folder / paths.FUNCTIONS).is_file() else {paths.FUNCTIONS: FUNCTIONS}


def definition(folder: Path) -> tuple[Path, ...]:
    """Return the files that define a model beside those of the product, by their paths in its folder."""
    return (paths.PARAMS, *((paths.FUNCTIONS, *render(paths.root_of(folder))) if name_of(folder) else ()))


@contextlib.contextmanager
def added(name: str) -> Iterator[None]:
    """Work in the folder of a use case, which is made if there is none; a failure leaves no new folder behind.

    Raises ConfigError: the root's model has this name, or no model can.
    """
    root = paths.root_of(Path.cwd())
    folder = root / paths.USE_CASES / _checked(name, root)
    is_new = not folder.exists()
    try:
        for path, content in (render(root) | missing(folder)).items():
            files.write_bytes(content, folder / path)
        with contextlib.chdir(folder):
            yield
    except BaseException:
        if is_new:
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # others are in it
                folder.parent.rmdir()
        raise


def _checked(name: str, root: Path) -> str:
    pattern = next(str(rule.pattern) for rule in RegisterModel.model_fields["model_name"].metadata)
    if not re.fullmatch(pattern, name):
        raise ConfigError(f"--name {name!r} cannot be a model's name", "letters, digits, . _ and -, at most 100")
    if not (root / paths.PIPELINE).is_file():
        raise ConfigError("there is no dvc.yaml here", "run it inside a Lockstep project, a copy of this repository")
    if (root / paths.PARAMS).is_file() and name == names(root)[0]:
        raise ConfigError(f"{name!r} is the model of the root's params.yaml", "choose another --name")
    return name
