import pytest

from benchmarks.serving import models, steps
from benchmarks.serving.models import Case, Model
from lockstep import paths
from lockstep.data import parquet
from tests.flask_app.standins import make_bundle, make_frame

PAGE = "<!-- begin steps -->\nold\n<!-- end steps -->\nthe rest\n"
DIFFERENCES = {"label, rounding", "names, counters"}
"""Steps that are measured as the difference of two others, which noise may turn below 0 for a few rows."""


@pytest.fixture(params=["binary", "text"])
def model(request, tmp_path):
    """A small model of numbers, categories and dates, or of texts, in the place of one that takes minutes."""
    project = tmp_path / "project"
    for path in (paths.MODEL, paths.TEST):
        (project / path).parent.mkdir(parents=True)
    make_bundle(request.param, (project / paths.MODEL).parent, odd="a")  # a name that the fast path can decode
    (project / paths.REGISTERED).write_text('{"model": "other"}')
    parquet.write(make_frame(request.param, odd="a")[0], project / paths.TEST)
    return Model(Case("demo", "a small model", params=str, batches=1), project)


def test_every_step_of_a_request_is_measured_and_written(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "set by the benchmark")
    monkeypatch.setattr(models, "prepare", lambda case, reviews: model)
    monkeypatch.setattr(steps, "CASES", {"demo": model.case})
    monkeypatch.setattr(steps, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(steps, "ROWS", 4)
    monkeypatch.setattr(steps, "PIPELINE_ROWS", 2)
    steps.PAGE.write_text(PAGE)
    assert steps.main(["--write"]) == 0
    table = capsys.readouterr().out.strip()
    head, _, *lines = [line.strip("| ").split(" | ") for line in table.splitlines()]
    figures = {name: float(figure) for name, figure in lines}
    assert head == ["us of CPU for one row", "demo"]
    assert len(figures) == 8
    assert min(figures[name] for name in figures.keys() - DIFFERENCES) > 0
    assert steps.PAGE.read_text() == PAGE.replace("old", table)
