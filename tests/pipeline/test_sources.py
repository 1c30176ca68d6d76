"""A source where DVC does not look: `dvc repro` alone sees that it changed."""

import json

import pytest

from tests.pipeline.project import copy_project

pytestmark = [pytest.mark.pipeline]


def rows(count):
    return "size,sold\n" + "".join(f"{i},{i % 2}\n" for i in range(count))


@pytest.mark.long("runs the pipeline once more")
def test_a_changed_source_outside_the_watched_folder_runs_the_pipeline_again(tmp_path):
    project = copy_project(tmp_path / "project")
    outside = tmp_path / "rows.csv"
    outside.write_text(rows(30))
    project.edit("params.yaml", "source: sklearn:breast_cancer", f"source: {outside}")

    def repro(ok=True):
        done = project.run("dvc", "repro", "data_ingestion", ok=ok)
        return done, "Running stage 'data_ingestion'" in done.stdout

    assert repro()[1]
    assert (project.root / "data/probe/dvc.yaml").exists()
    assert not repro()[1]
    outside.write_text(rows(31))
    assert repro()[1]
    assert json.loads(project.read("data/raw/source.json"))["rows"] == 31

    lock = project.read("dvc.lock")
    outside.write_text(rows(30).replace(",", ";"))
    done, _ = repro(ok=False)
    assert done.returncode != 0
    assert "has one column, 'size;sold'" in done.stderr
    assert "Traceback" not in done.stderr
    assert project.read("dvc.lock") == lock
    assert not (project.root / "data/raw/data.parquet").exists()
