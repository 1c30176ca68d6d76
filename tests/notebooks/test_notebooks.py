import ast
import json
import shutil
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
IMDB = ROOT.parent / "shared/data/imdb.csv.gz"
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)

assert NOTEBOOKS, "no notebook found"
EXTRAS = ("wandb", "xgboost")
"""What the notebook on Weights & Biases needs beyond the lock."""

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
    for name in ("dvc.yaml", *map("examples/{}".format, ("breast-cancer.yaml", "iris-algorithms.yaml", "reviews.csv"))):
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


@pytest.mark.parametrize("path", NOTEBOOKS[:3], ids=lambda path: path.stem)
def test_runs_in_a_fresh_clone(path, clone):
    run(path, clone / "notebooks")


@pytest.mark.long("runs a client of Weights & Biases, from the extras")
def test_five_algorithms_and_their_plots_are_in_a_run_that_no_network_saw(clone, monkeypatch):
    for package in EXTRAS:
        pytest.importorskip(package)
    for name, value in {"HOME": str(clone), "WANDB_BASE_URL": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(name, value)
    printed = run(NOTEBOOKS[3], clone / "notebooks")
    assert "120 rows to train" in printed or "119 rows to train" in printed
    (folder,) = (clone / ".lockstep/wandb").glob("offline-run-*")
    assert f"wandb sync {folder.relative_to(clone)}" in printed
    (record,) = folder.glob("*.wandb")
    content = record.read_bytes()
    plots = ("data/petals", "data/classes", "data/means", "compared/accuracy", "compared/f1_weighted", "compared/log_loss")
    assert [name for name in plots if name.encode() not in content] == []
    (scores,) = [json.loads(path.read_text()) for path in folder.rglob("compared/scores*.table.json")]
    assert [row[0] for row in scores["data"]] == [
        *("logistic_regression", "decision_tree", "random_forest", "rbf_svm", "xgboost")
    ]
    assert all(row[scores["columns"].index("accuracy")] > 0.9 for row in scores["data"])


def test_runs_from_the_root_of_the_project_too(clone):
    run(NOTEBOOKS[0], clone)


def test_the_reviews_are_the_real_ones_where_they_are_there(clone, request):
    if not (request.config.getoption("long") and IMDB.exists()):
        pytest.skip(f"--long runs it, where {IMDB.name} is there")
    (clone / "data/external").mkdir(parents=True)
    shutil.copy(IMDB, clone / "data/external")

    (path,) = [path for path in NOTEBOOKS if path.stem.startswith("03")]
    assert "THE DATA ARE data/external/imdb.csv.gz: 1500 of 50000 reviews" in run(path, clone / "notebooks")
