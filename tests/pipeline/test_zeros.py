"""Each zero and each null that docs/params.md accepts runs through all stages, generated from the declarations."""

from typing import Annotated, get_args

import pytest
import yaml
from annotated_types import Ge
from pydantic import TypeAdapter, ValidationError

from lockstep.config.params import Params, Section
from tests.lockstep.small_models import raw
from tests.pipeline.project import copy_project

BASE = {
    "data_ingestion": {"source": "data/external/rows.csv"},
    "data_preprocessing": {
        "target": "y",
        "columns": {"text": ["review"]},
        "contract": {"columns": {"town": {}}},
    },
    "feature_engineering": {"text": {"min_documents": 1}},
    "model_building": {"candidates": [{"estimator": "logistic_regression"}], "folds": 2},
    "model_evaluation": {"resamples": 100},
    "register_model": {"model_name": "zeros"},
}
PLACES = {"columns": "town"}
"""For a mapping of sections by column: the column that gets one."""


def is_zero(field):
    return any(isinstance(limit, Ge) and limit.ge == 0 for limit in field.metadata)


def is_null(field):
    accepted = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    try:
        TypeAdapter(accepted).validate_python(None, strict=True)
    except ValidationError:
        return False
    return True


def leaves(section, wanted, path=()):
    """Yield the path of each key below a section whose field is wanted."""
    for name, field in section.model_fields.items():
        inner = [part for part in (field.annotation, *get_args(field.annotation)) if isinstance(part, type)]
        below = next((part for part in inner if issubclass(part, Section)), None)
        if below is not None and name in PLACES and "contract" in path:
            yield from leaves(below, wanted, (*path, name, PLACES[name]))
        elif below is not None and field.annotation is below:
            yield from leaves(below, wanted, (*path, name))
        elif wanted(field):
            yield (*path, name)


def with_all(wanted, value):
    """Return the params with the value at every key that takes it."""
    content = yaml.safe_load(yaml.safe_dump(BASE))
    for *sections, key in leaves(Params, wanted):
        section_params = content
        for section in sections:
            section_params = section_params.setdefault(section, {})
        section_params[key] = value
    return content


def test_what_is_generated_holds_the_keys_that_are_known_to_be_hard():
    zeros, nulls = ({".".join(path) for path in leaves(Params, wanted)} for wanted in (is_zero, is_null))
    assert {"model_evaluation.report.importance_rows", "model_evaluation.report.worst_rows"} <= zeros
    assert {"data_preprocessing.contract.columns.town.most_missing", "data_ingestion.reader.skip"} <= zeros
    assert {"feature_engineering.text.max_terms", "model_evaluation.gate.calibration"} <= nulls
    assert {"data_preprocessing.contract.columns.town.pattern", "data_preprocessing.positive"} <= nulls


@pytest.mark.pipeline
@pytest.mark.parametrize(("wanted", "value"), [(is_zero, 0), (is_null, None)])
def test_every_stage_takes_them(tmp_path, wanted, value):
    project = copy_project(tmp_path / "project")
    raw("binary").to_csv(project.root / "data/external/rows.csv", index=False)
    (project.root / "params.yaml").write_text(yaml.safe_dump(with_all(wanted, value)))
    project.stages()
    project.lockstep("report")
    refusal = project.lockstep("promote", "--dry-run", ok=False)
    assert "please report" not in refusal.stderr
