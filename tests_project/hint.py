"""What to do where the results of the pipeline are not there, or are those of another state."""

RUN_FIRST = "run `dvc repro` first, or `dvc pull` where a DVC remote holds the results"
