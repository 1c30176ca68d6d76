"""Model bundle: the files of a version as a folder that any MLflow client can load."""

import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from lockstep import paths

# The required files of a version: the model, its input schema, and recorded predictions to check it by.
BUNDLE = (paths.MODEL.name, paths.SCHEMA.name, paths.SMOKE.name)
# Optional files of a version: the reference profile and the model card, which older versions lack.
OPTIONAL = (paths.PROFILE.name, paths.CARD.name)
# Files beside those of a version in the registry, which neither serve nor count for its digest.
COMPANIONS = (paths.TRAINED_ON.name,)


def contents(bundle: Path) -> tuple[str, ...]:
    """Return the names of the files in a folder that belong to a version, those that it must have in any case."""
    return *BUNDLE, *(name for name in OPTIONAL if (bundle / name).is_file())


def package_model(bundle: Path, to: Path, requirements: list[str], trusted: list[str]) -> Path:
    """Copy the bundle into the folder `to` and describe it there, without a clock and without loading it."""
    to.mkdir(parents=True, exist_ok=True)
    for name in contents(bundle):
        shutil.copyfile(bundle / name, to / name)
    for name in COMPANIONS:
        if (bundle / name).is_file():
            shutil.copyfile(bundle / name, to / name)
    (to / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")
    described = {
        "MLmodel": _flavors(trusted),
        "python_env.yaml": {"python": platform.python_version(), "dependencies": ["-r requirements.txt"]},
        "conda.yaml": {
            "name": "mlflow-env",
            "channels": ["conda-forge"],
            "dependencies": [f"python={platform.python_version()}", "pip", {"pip": requirements}],
        },
    }
    for name, content in described.items():
        (to / name).write_text(yaml.safe_dump(content, sort_keys=True), encoding="utf-8")
    return to


def _flavors(trusted: list[str]) -> dict[str, Any]:
    """Describe the model in MLflow's format, both flavors pointing at the one file of ours."""
    sklearn = {
        "pickled_model": paths.MODEL.name,
        "serialization_format": "skops",
        "sklearn_version": version("scikit-learn"),
        "skops_trusted_types": sorted(trusted),
        "code": None,
    }
    python_function = {
        "loader_module": "mlflow.sklearn",
        "model_path": paths.MODEL.name,
        "predict_fn": "predict",
        "python_version": platform.python_version(),
        "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
    }
    return {"flavors": {"sklearn": sklearn, "python_function": python_function}}
