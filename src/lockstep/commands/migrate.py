"""Read a copy of the capstone project, and write the params.yaml and the overlay for Kubernetes that fit it.

Example: lockstep migrate ../Capstone-Project
         lockstep migrate ../Capstone-Project --source s3://my-bucket/data.csv
"""

import argparse
import json
from pathlib import Path

from lockstep import files, paths
from lockstep.autoconfig.capstone import Capstone
from lockstep.autoconfig.params_writer import template
from lockstep.commands import init, use
from lockstep.config import params_file, use_cases
from lockstep.config.settings import Settings

OVERLAY = Path("k8s/overlays/capstone/kustomization.yaml")


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "project", type=use.from_here, metavar="PATH", help="the folder of the copy, which is only read"
    )
    parser.add_argument("--source", type=use.from_here, metavar="FILE", help="the data: a file, pattern, or address")
    parser.add_argument("--force", action="store_true", help="replace params.yaml; the old one becomes params.yaml.bak")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Write what the project says, and say what was taken, what was not, and what comes next."""
    init.check_place(arguments.force)
    facts = Capstone(Path(arguments.project)).facts(arguments.source or "")
    facts["model_name"] = use_cases.name_of(Path.cwd()) or facts["model_name"]
    params_file.parse(template("capstone_params.yaml.jinja").render(facts))
    facts["source"], tracking = init.take(facts["source"], "dvc")
    init.replace_params(template("capstone_params.yaml.jinja").render(facts))
    written = [str(paths.PARAMS)]
    overlay = paths.root_of(Path.cwd()) / OVERLAY
    if (overlay.parent.parent / "eks").is_dir():
        files.write_bytes(template("capstone_overlay.yaml.jinja").render(facts).encode(), overlay)
        written.append(OVERLAY.as_posix())
    facts |= {"written": written, "tracked": tracking.state}
    if arguments.json:
        print(json.dumps(facts, ensure_ascii=False, indent=2, default=vars))
    else:
        print(template("capstone_summary.txt.jinja").render(facts), end="")
    return 0
