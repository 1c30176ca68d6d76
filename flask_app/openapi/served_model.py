"""A model that serves, as the description of the API needs it: its facts fill what `openapi.yaml` leaves open."""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from string import Template
from typing import Any

import msgspec

from flask_app.forms import csv_upload
from flask_app.openapi import json_schema
from flask_app.openapi.json_schema import Json
from flask_app.prediction import explanation, feedback
from flask_app.protocols import invocations, open_inference
from flask_app.protocols.tensors import BYTES
from lockstep.data.schema import Schema
from lockstep.drift.results import Job

FILE = Path(__file__).with_name("openapi.yaml")
ABSENT = object()  # The fact that a model does not have: what would hold it is left out.


@cache
def specification() -> Json:
    """Return the content of `openapi.yaml`."""
    import yaml

    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class ServedModel:
    """A model that serves, and how many rows a request may have."""

    name: str
    version: str
    schema: Schema
    most: int
    suffix: str = ""

    def schemas(self) -> Json:
        """Return this model's schemas by name."""
        return {f"{name}{self.suffix}": self.fill(part) for name, part in specification()["schemas"].items()}

    def fill(self, part: Any) -> Any:
        """Return a part of the specification with this model's facts, without properties and items that it lacks."""
        if isinstance(part, str):
            return self._fill_text(part)
        if isinstance(part, list):
            return [filled for item in part if (filled := self.fill(item)) is not ABSENT]
        if not isinstance(part, dict):
            return part
        content = {name: filled for name, item in part.items() if (filled := self.fill(item)) is not ABSENT}
        if "properties" in part and "required" in part:
            content["required"] = [name for name in part["required"] if name in content["properties"]]
        return content

    def _fill_text(self, text: str) -> Any:
        if text.startswith("#/components/schemas/"):
            return text + self.suffix
        if text.startswith("$") and text[1:] in self.facts:
            return self.facts[text[1:]]
        return Template(text).safe_substitute(self.facts)

    @cached_property
    def facts(self) -> Json:
        """What `openapi.yaml` names of this model."""
        schema, row = self.schema, json_schema.example(self.schema)
        outputs = open_inference.outputs(schema)
        rows_of_values = [json_schema.rows(json_schema.value(column), self.most) for column in schema.columns]
        return {
            "name": self.name,
            "version": self.version,
            "most": self.most,
            "most_explained": explanation.MOST_ROWS,
            "longest_id": feedback.LONGEST_ID,
            "longest_infer_id": open_inference.MAX_ID,
            "names": list(schema.kinds),
            "row": row,
            "row_values": list(row.values()),
            "header": json_schema.exactly([{"const": name} for name in schema.kinds]),
            "bare_rows": rows_of_values[0] if len(rows_of_values) == 1 else ABSENT,
            "csv": csv_upload.template(schema),
            "labels_csv": csv_upload.spelled([feedback.COLUMNS]),
            "label": (*schema.labels, 1.5)[0],
            "job": msgspec.json.schema_components([Job])[1]["Job"],
            "outputs": [output.name for output in outputs],
            "datatypes": sorted({output.datatype for output in outputs} | {BYTES}),
            "tensors": [
                {"name": name, "shape": [1], "datatype": open_inference.DATATYPES[kind], "data": [row[name]]}
                for name, kind in schema.kinds.items()
            ],
            **{
                f"{name.lower()}_schema": make(schema) | {"description": about}
                for name, (make, about) in json_schema.ROW_FORMATS.items()
            },
            **self._answers(),
        }

    def _answers(self) -> Json:
        """Return the facts of what the model answers."""
        schema, prediction = self.schema, json_schema.prediction(self.schema)
        facts = dict.fromkeys(("explained_label", "probabilities", "probabilities_of_rows", "shares"), ABSENT)
        if schema.labels:
            probabilities = json_schema.probabilities(schema)
            facts |= {
                "explained_label": prediction | {"description": "The label that the score speaks for."},
                "probabilities": probabilities,
                "probabilities_of_rows": {"type": "array", "items": probabilities},
                "shares": json_schema.shares(schema),
            }
        methods = invocations.METHODS if schema.labels else invocations.METHODS[:1]
        return facts | {"prediction": prediction, "methods": list(methods)}
