"""Log the run with its reports and put the model into the registry; the same model twice makes one version."""

import os

from lockstep import files, paths, registration
from lockstep.config import Settings
from lockstep.modeling import predictor
from lockstep.sections import RegisterModel
from lockstep.stage import run_stage


def main(params: RegisterModel) -> None:
    """Read model and reports; draw, log and register them, and write which model of which name that was."""
    digest = predictor.digest(paths.MODELS)

    registration.record(params, Settings.read(os.environ))

    files.write_json({"model": params.model_name, "sha256": digest}, paths.REGISTERED)


if __name__ == "__main__":
    run_stage("register_model", main)
