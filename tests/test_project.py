import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lockstep.config.params import Params
from tests.imports import imported_files

ROOT = Path(__file__).parents[1]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
MODULES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "flask_app").rglob("*.py")])
RIMS = {
    "src/lockstep/stage.py",
    "src/lockstep/cli.py",
    "src/data_ingestion.py",
    "src/register_model.py",
    "src/lockstep/commands/verify.py",
    "src/lockstep/commands/serve.py",
    "src/lockstep/registry/sidecar.py",
    "src/lockstep/registry/provenance.py",
    "flask_app/wsgi.py",
    "src/lockstep/registry/tracking.py",
    "src/lockstep/server/recorder.py",
    "src/lockstep/lifecycle/retraining/run.py",
    "src/lockstep/lifecycle/retraining/scheduler.py",
    "src/lockstep/compute/pool.py",
    "src/lockstep/lifecycle/wandb.py",
    "src/lockstep/numeric_pins.py",
}
"""Where a process begins or another is started: they alone read the environment."""
MLFLOW = {f"src/lockstep/registry/{name}.py" for name in ("tracking", "model_registry", "bundle", "runs")} | {
    "src/lockstep/compat.py"
}


def named(path):
    return path.relative_to(ROOT).as_posix()


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(node):
    """Return the modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def reads_environment(tree):
    """Tell whether a module looks at `os.environ` or `os.getenv`, under any name; `request.environ` is another."""
    names = {"environ", "environb", "getenv", "getenvb"}
    return any(
        (isinstance(node, ast.Attribute) and node.attr in names and "request" not in ast.dump(node.value))
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and names & {alias.name for alias in node.names})
        for node in ast.walk(tree)
    )


def at_import(tree):
    """Yield the statements of a module that run when it is imported for real."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += [
                child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt | ast.excepthandler)
            ]


def test_stages_are_the_sections_of_params_in_order():
    assert list(STAGES) == list(Params.model_fields)


@pytest.mark.parametrize("name", STAGES)
def test_one_word_for_stage_script_and_section(name):
    stage = STAGES[name]
    assert stage["cmd"] == f"python src/{name}.py"
    assert stage["params"] == [name]
    script = (ROOT / "src" / f"{name}.py").read_text(encoding="utf-8")
    assert f'run_stage("{name}", main)' in script
    section = Params.model_fields[name].annotation.__name__
    assert section == name.title().replace("_", "")
    assert f"def main(params: {section}) -> None:" in script


@pytest.mark.parametrize("name", STAGES)
def test_deps_cover_the_script_and_all_it_imports_and_nothing_else(name):
    code = [dep for dep in STAGES[name]["deps"] if dep.startswith("src/")]
    imported = imported_files(ROOT / "src" / f"{name}.py", ROOT) | {f"src/{name}.py"}
    imported = {path for path in imported if not path.endswith("__init__.py")}  # these hold a docstring alone
    covered = {path: [dep for dep in code if path == dep or path.startswith(f"{dep}/")] for path in imported}
    assert {path: deps for path, deps in covered.items() if len(deps) != 1} == {}
    assert set(code) == {dep for deps in covered.values() for dep in deps}


@pytest.mark.parametrize("name", STAGES)
def test_no_stage_depends_on_a_page_template_or_style(name):
    imported = imported_files(ROOT / "src" / f"{name}.py", ROOT) | set(STAGES[name]["deps"])
    assert {path for path in imported if path.startswith(("src/lockstep/html", "src/lockstep/pages"))} == set()
    outputs = [path for path in STAGES[name]["outs"] if str(path).endswith(".html")]
    assert outputs == []


def test_packages_have_a_docstring_alone_at_their_top():
    pinning = ["from lockstep import numeric_pins", "numeric_pins.pin()"]  # the one thing that must come first
    for path in (ROOT / "src").rglob("__init__.py"):
        docstring, *rest = tree_of(path).body
        assert isinstance(docstring, ast.Expr), path
        assert [ast.unparse(node) for node in rest] == (pinning if path.parent.name == "lockstep" else []), path


def test_code_dependencies_are_few_enough_to_read():
    assert sum(dep.startswith("src/") for stage in STAGES.values() for dep in stage["deps"]) <= 90


def test_data_deps_are_made_by_an_earlier_stage():
    made = {"data/external", "features.py"}
    for name, stage in STAGES.items():
        assert {dep for dep in stage["deps"] if not dep.startswith("src/")} <= made, name
        for out in [*stage.get("outs", []), *stage.get("metrics", [])]:
            made |= {out} if isinstance(out, str) else set(out)


@pytest.mark.parametrize("path", [path for path in MODULES if named(path) not in RIMS], ids=named)
def test_only_the_rims_read_the_environment(path):
    assert not reads_environment(tree_of(path))


@pytest.mark.parametrize("path", [path for path in MODULES if named(path) in RIMS], ids=named)
def test_every_rim_is_one(path):
    assert reads_environment(tree_of(path))


def test_only_tracking_and_registry_import_mlflow_and_inside_functions_alone():
    users = set()
    for path in MODULES:
        tree = tree_of(path)
        users |= {
            named(path) for node in ast.walk(tree) if any(name.partition(".")[0] == "mlflow" for name in imports(node))
        }
        assert not [
            node.lineno for node in at_import(tree) if any(name.startswith("mlflow") for name in imports(node))
        ], path
    assert users <= MLFLOW
    assert len(users) >= 2


def test_the_library_never_imports_the_app_or_a_stage():
    above = {"flask_app", "flask", *STAGES}
    for path in (ROOT / "src" / "lockstep").rglob("*.py"):
        used = {name.partition(".")[0] for node in ast.walk(tree_of(path)) for name in imports(node)}
        assert not used & above, path


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_every_function_is_typed(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            untyped = [one.arg for one in given if one.annotation is None and one.arg not in ("self", "cls")]
            assert node.returns is not None, f"{path}:{node.lineno}"
            assert not untyped, f"{path}:{node.lineno}"


LOADED = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]; print(*sorted(sys.modules))"


def loaded_by(*modules):
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *modules], env=environment, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_any_module_of_the_library_loads_no_mlflow():
    folder = ROOT / "src"
    modules = [
        named(path)[4:-3].replace("/", ".")
        for path in (folder / "lockstep").rglob("*.py")
        if path.stem != "__main__" and "migrations" not in path.parts  # Alembic runs those
    ]
    assert {"lockstep.registry.tracking", "lockstep.registry.model_registry", "lockstep.cli"} <= set(modules)
    loaded = loaded_by(*modules)
    assert set(modules) - loaded - {name for name in modules if name.endswith("__init__")} == set()
    assert "mlflow" not in loaded


@pytest.mark.parametrize(
    "module", ["lockstep", "lockstep.cli", "lockstep.config.settings", "lockstep.registry.tracking"]
)
def test_the_light_modules_load_no_heavy_ones(module):
    assert not loaded_by(module) & {"mlflow", "sklearn", "pandas", "skops", "matplotlib", "flask"}
