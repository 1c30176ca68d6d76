"""The BentoML side with adaptive batching: queued requests are served by one call.

BentoML 1.4.39 cannot batch requests whose input is a DataFrame, so rows are sent as lists and
combined into one DataFrame.
"""

import os
from pathlib import Path
from typing import Any

import bentoml
import joblib
import numpy as np
import pandas as pd

WORKERS = int(os.environ["BENCH_WORKERS"])


@bentoml.service(workers=WORKERS, logging={"access": {"enabled": False}})
class Model:
    """The pipeline that every side serves."""

    def __init__(self) -> None:
        self.pipeline = joblib.load(Path(os.environ["BENCH_MODEL"]) / "model.joblib")

    @bentoml.api(batchable=True, max_batch_size=1000)
    def predict(self, rows: list[dict[str, Any]]) -> np.ndarray:
        """Return the probabilities of each row."""
        return self.pipeline.predict_proba(pd.DataFrame(rows))
