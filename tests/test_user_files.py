"""Product tests read nothing of the project they stand in, whatever a user has made of it."""

import os
from pathlib import Path

import pytest

from tests.pipeline.project import copy_project, product_files
from tests.root import ROOT, USER_FILES
from tests.user_files import UserFileOpened

OWN = {"params.yaml", "features.py", "data/external/README.md", "models/.gitkeep"}
"""What the project of the tests has of its own."""


@pytest.mark.parametrize("name", [*USER_FILES, "data/raw/data.parquet", "models/model.skops", "reports/gate.json"])
@pytest.mark.parametrize("read", [Path.read_bytes, lambda path: os.open(path, os.O_RDONLY)], ids=["open", "os.open"])
def test_a_file_of_the_user_cannot_be_opened(name, read):
    with pytest.raises(UserFileOpened, match=name):
        read(ROOT / name)


def test_a_relative_path_is_no_way_round(monkeypatch):
    monkeypatch.chdir(ROOT / "src")
    with pytest.raises(UserFileOpened):
        Path("../params.yaml").read_text()


def test_the_files_of_the_product_and_those_elsewhere_can_be_opened(tmp_path):
    (tmp_path / "params.yaml").write_text("a: 1\n")
    assert (tmp_path / "params.yaml").read_text() == "a: 1\n"
    assert (ROOT / "examples/breast-cancer.yaml").read_text()


def test_the_copy_for_tests_has_params_of_its_own_and_no_results(tmp_path):
    root = copy_project(tmp_path / "copy").root
    files = {
        path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and ".git" not in path.parts
    }
    assert files == {*product_files(), *OWN}
