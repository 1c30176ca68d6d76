"""Name the package, its roots, the floor of every dependency, and the extras.

A ceiling stands where `lockstep.compat` uses private names of a package: raise it when its tests pass with the next.
`flask_app` is too common a name for a wheel, where it is `lockstep_app`; an editable install has it as the folder is
called. A wheel from the whole repository also carries the files of a project that depends on it.
"""

import re
import runpy
import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

RELEASE = runpy.run_path("src/lockstep/runtime/release.py")
APP = "flask_app" if "editable_wheel" in sys.argv else "lockstep_app"
TEMPLATE = Path("scripts/project_template.py")

CORE = [
    "numpy>=2.4",  # names its instruction sets as numeric_pins does
    "pandas>=3.0",
    "scipy>=1.16",
    "scikit-learn>=1.9,<1.10",
    "skops>=0.16,<0.17",
    "pydantic>=2.12",
    "pyyaml>=6.0.2",
    "rich>=14",
    "threadpoolctl>=3.6",
    "treelite>=4.8",
]
SERVE = [
    "mlflow-skinny>=3.17,<3.18",
    "boto3>=1.43",
    "flask>=3.1",
    "flask-wtf>=1.3",
    "jinja2>=3.1.6",
    "msgspec>=0.20",
    "prometheus-flask-exporter>=0.23.2",
    "prometheus-client>=0.23,<0.27",
    "granian>=2.8,<2.9",
    "redis>=7",
    "sqlalchemy>=2.0.44",
    "alembic>=1.17",
    "psycopg[binary]>=3.2",
]
PIPELINE = [
    "pyarrow>=20",  # Parquet, and text columns in half the memory; a server needs neither, and it is 150 MB
    "dvc[s3]>=3.67",
    "mlflow>=3.17,<3.18",
    "graphene>=3.4",  # without a floor the resolver takes 2.0, which breaks the run page of MLflow's UI
    "dagshub>=0.7",
    "ruamel.yaml.clib>=0.2.14",  # DVC reads dvc.lock in a fifth less time with it
    "charset-normalizer>=3.4",  # encodings of text files
    "python-calamine>=0.5",  # spreadsheets
    "setuptools>=80",  # builds the editable install without fetching anything that the lock does not hold
]
BOOSTING = [
    "lightgbm>=4.6",
    "xgboost-cpu>=3.2; sys_platform != 'darwin'",  # the same package without 300 MB for graphics cards
    "xgboost>=3.2; sys_platform == 'darwin'",
]
EXPLAIN = ["shap>=0.51"]
DASK = ["distributed>=2026.3"]
WANDB = ["wandb>=0.22,<0.31"]  # 0.31 asks for a beta of another package
NOTEBOOKS = ["nbclient>=0.10", "ipykernel>=7", "matplotlib>=3.10"]
TEST = [
    "pytest>=9",
    "pytest-cov>=7",
    "pytest-xdist>=3.8",
    "jsonschema>=4.23",
    "psutil>=7",
    "schemathesis>=4.32",
    "tritonclient[http]>=2.60",
    "types-PyYAML>=6.0.12",
    "pandas-stubs>=3.0",
    "ruff>=0.14",
    "mypy>=1.18",
    "cyclonedx-bom>=7.2",
    "mkdocs-material>=9.7",
]


class BuildWithTemplate(build_py):
    """Names the app as the wheel does in its own imports, and adds the template of a project."""

    def build_module(self, module: str, module_file: str, package: str) -> tuple[str, bool]:
        """Copy a module, one of the app under its name in the wheel."""
        path, copied = super().build_module(module, module_file, package)
        if package.partition(".")[0] == "lockstep_app":
            Path(path).write_text(re.sub(r"\bflask_app\b", APP, Path(path).read_text("utf-8")), "utf-8")
        return path, copied

    def run(self) -> None:
        """Build as usual; the image is built without the files of the repository, and needs no template."""
        super().run()
        if not self.editable_mode and TEMPLATE.is_file():
            runpy.run_path(str(TEMPLATE))["write"](Path(self.build_lib) / "lockstep")


PACKAGES = [*find_packages("src"), *find_packages(include=["flask_app", "flask_app.*"])]

setup(
    name=RELEASE["DISTRIBUTION"],
    version=RELEASE["VERSION"],
    description="From one params.yaml and any data set to a model service that is trained and served in lockstep.",
    license="MIT",
    python_requires=">=3.11",
    cmdclass={"build_py": BuildWithTemplate},
    package_dir={"lockstep": "src/lockstep", APP: "flask_app"},
    packages=[re.sub("^flask_app", APP, name) for name in PACKAGES],
    package_data={
        "lockstep": ["py.typed", "html/pages/*", "autoconfig/*.jinja", "**/*.toml"],
        APP: ["py.typed", "templates/*.html", "static/*", "openapi/*.yaml", "**/*.toml"],
    },
    install_requires=CORE,
    extras_require={
        "serve": SERVE,
        "pipeline": SERVE + PIPELINE,
        "notebooks": NOTEBOOKS,
        "boosting": BOOSTING,
        "explain": EXPLAIN,
        "dask": DASK,
        "wandb": WANDB,
        "dev": SERVE + PIPELINE + BOOSTING + EXPLAIN + DASK + WANDB + NOTEBOOKS + TEST,
    },
    entry_points={"console_scripts": ["lockstep = lockstep.cli:entry"]},
)
