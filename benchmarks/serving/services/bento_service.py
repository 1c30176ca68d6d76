"""The BentoML side: a DataFrame in, probabilities out, two workers."""

import os
from pathlib import Path
from typing import Annotated

import bentoml
import joblib
import numpy as np
import pandas as pd
from bentoml.validators import DataframeSchema

WORKERS = int(os.environ["BENCH_WORKERS"])
Rows = Annotated[pd.DataFrame, DataframeSchema(orient="records")]


@bentoml.service(workers=WORKERS, logging={"access": {"enabled": False}})
class Model:
    """The pipeline that every side serves."""

    def __init__(self) -> None:
        self.pipeline = joblib.load(Path(os.environ["BENCH_MODEL"]) / "model.joblib")

    @bentoml.api
    def predict(self, rows: Rows) -> np.ndarray:
        """Return the probabilities of each row."""
        return self.pipeline.predict_proba(rows)
