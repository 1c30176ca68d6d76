import shutil

import pytest

from scripts import docs_tables


@pytest.fixture
def pages(tmp_path, monkeypatch):
    for name in docs_tables.PAGES:
        shutil.copy(docs_tables.DOCS / name, tmp_path / name)
    monkeypatch.setattr(docs_tables, "DOCS", tmp_path)
    return tmp_path


def test_pages_are_up_to_date(capsys):
    assert docs_tables.main(["--check"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("page", "old", "new", "said"),
    [
        ("params.md", "`0.2`", "`0.3`", "params.md: is not up to date"),
        ("params.md", "| `register_model.experiment`", "| `register_model.trial`", "params.md: is not up to date"),
        ("params.md", "| name of the registered model |", "|  |", "say what register_model.model_name means"),
        ("params.md", "<!-- begin names -->", "", "it needs data_ingestion"),
        ("settings.md", "| `5000` |", "| `5001` |", "settings.md: is not up to date"),
    ],
)
def test_check_finds_what_is_stale(page, old, new, said, pages, capsys):
    text = (pages / page).read_text()
    assert old in text
    (pages / page).write_text(text.replace(old, new))

    assert docs_tables.main(["--check"]) == 1
    assert said in capsys.readouterr().err
    assert (pages / page).read_text() == text.replace(old, new)


def test_writing_restores_tables_and_keeps_meanings(pages):
    text = (pages / "params.md").read_text()
    (pages / "params.md").write_text(text.replace("`0.2`", "`0.3`"))

    assert docs_tables.main([]) == 0
    assert (pages / "params.md").read_text() == text
