"""Make a project that depends on the wheel of this library: pipeline, app, manifests, workflows and checks.

Example: lockstep new shop --wheel lockstep_mlops-0.1.0-py3-none-any.whl
"""

import argparse
from pathlib import Path

from lockstep.config.settings import Settings
from lockstep.lifecycle import project_template


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("folder", type=_absolute, help="where the project is made: a new or empty folder")
    parser.add_argument("--wheel", type=_absolute, help="wheel to depend on (default: that of this installation)")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Make the project and say what comes next."""
    wheel = arguments.wheel or project_template.installed_wheel()
    project_template.create(arguments.folder, wheel)
    print(f"{arguments.folder} depends on {wheel.name}, which is in its {project_template.WHEELS}/")
    print(f"next: cd {arguments.folder} && git add -A && git commit -m Start && make run")
    return 0


def _absolute(text: str) -> Path:
    return Path(text).expanduser().absolute()
