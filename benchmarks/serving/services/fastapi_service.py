"""The FastAPI side: rows validated by pydantic column by column, a DataFrame, probabilities out."""

import json
import os
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, create_model

FOLDER = Path(os.environ["BENCH_MODEL"])
KINDS = {"numeric": float, "text": str}
COLUMNS = json.loads((FOLDER / "schema.json").read_text(encoding="utf-8"))["columns"]
FIELDS: dict[str, Any] = {
    f"column_{place}": (KINDS[column["kind"]], Field(alias=column["name"])) for place, column in enumerate(COLUMNS)
}
Row = create_model("Row", __config__=ConfigDict(extra="forbid"), **FIELDS)


class Rows(BaseModel):
    """What is asked."""

    rows: list[Row]


class Answer(BaseModel):
    """What is answered."""

    probabilities: list[list[float]]


app = FastAPI()
pipeline = joblib.load(FOLDER / "model.joblib")


@app.post("/predict")
def predict(asked: Rows) -> Answer:
    """Return the probabilities of each row."""
    frame = pd.DataFrame([row.model_dump(by_alias=True) for row in asked.rows])
    return Answer(probabilities=pipeline.predict_proba(frame).tolist())
