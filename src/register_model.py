"""Log the run with its reports and put the model into the registry; the same model twice makes one version."""

import os

from lockstep import files, paths
from lockstep.config.params import RegisterModel
from lockstep.config.settings import Settings
from lockstep.inference import predictor
from lockstep.lifecycle import registration
from lockstep.stage import run_stage


def main(params: RegisterModel) -> None:
    """Read model and records; log and register them, and write the name and digest of the registered model."""
    digest = predictor.digest(paths.MODELS)

    registration.record(params, Settings.read(os.environ))

    files.write_json({"model": params.model_name, "sha256": digest}, paths.REGISTERED)


if __name__ == "__main__":
    run_stage("register_model", main)
