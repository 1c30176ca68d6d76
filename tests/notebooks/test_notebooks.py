import ast
import shutil
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
IMDB = ROOT.parent / "shared/data/imdb.csv.gz"
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)

assert NOTEBOOKS, "no notebook found"
every = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@every
def test_outputs_are_not_in_git(path):
    kept = [cell for cell in code_cells(path) if cell.outputs or cell.execution_count]

    assert kept == []


@every
def test_code_is_imported_and_not_defined(path):
    trees = [ast.parse(cell.source) for cell in code_cells(path)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]

    assert [ast.unparse(node) for node in nodes if isinstance(node, DEFINITIONS)] == []
    assert any(module.split(".")[0] == "lockstep" for module in modules)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """What a notebook needs of a fresh clone."""
    for name in ("dvc.yaml", "examples/breast-cancer.yaml", "examples/reviews.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "examples/breast-cancer.yaml", tmp_path / "params.yaml")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / ".ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    return tmp_path


def run(path, folder):
    """Run a notebook in a folder, hold it to its pictures and its silence, and return what it printed."""
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output.get("text") for output in outputs if output.get("name") == "stderr"] == []
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
    return "".join(output.get("text", "") for output in outputs)


@every
def test_runs_in_a_fresh_clone(path, clone):
    run(path, clone / "notebooks")


def test_runs_from_the_root_of_the_project_too(clone):
    run(NOTEBOOKS[0], clone)


def test_the_reviews_are_the_real_ones_where_they_are_there(clone, request):
    if not (request.config.getoption("long") and IMDB.exists()):
        pytest.skip(f"--long runs it, where {IMDB.name} is there")
    (clone / "data/external").mkdir(parents=True)
    shutil.copy(IMDB, clone / "data/external")

    (path,) = [path for path in NOTEBOOKS if path.stem.startswith("03")]
    assert "THE DATA ARE data/external/imdb.csv.gz: 1500 of 50000 reviews" in run(path, clone / "notebooks")
