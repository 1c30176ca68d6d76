"""Run the six stages in one process: the baseline for `dvc repro`."""

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd() / "src"))


def main() -> None:
    """Call the main function of every stage with its section of params.yaml."""
    from lockstep.config import params_file
    from lockstep.runtime import logger

    logger.start()
    params = params_file.load()
    for name in type(params).model_fields:  # the sections are the stages, in their order
        stage = importlib.import_module(name)
        stage.main(getattr(params, name))


if __name__ == "__main__":
    main()
