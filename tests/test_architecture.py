import ast
import collections
import functools
import tomllib

import pytest

from tests.root import ROOT

FLOORS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["lockstep"]["floors"]
FLOOR = {unit: floor for floor, units in enumerate(FLOORS) for unit in units}
MODULES = {
    ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__"): path
    for base, folder in ((ROOT / "src", "lockstep"), (ROOT, "flask_app"))
    for path in sorted((base / folder).rglob("*.py"))
}
MOST_FLOORS, MOST_TOP_FILES = 11, 14
FORBIDDEN_NAMES = set(
    """
    keeper kept asking asked answered store watching shipping handing dispatch trainer loop judging
    baked card places parts bench journal marks beside alone mistakes learning usual known why
    explaining explain shown words twosample compare inspection spelling dialect survey bending front
    answering probing
    """.split()  # noqa: SIM905
)
"""Module names that say nothing to a reader of the field."""


def imports_of(module):
    """Return the modules of the project that a module imports, wherever the statement stands."""
    targets = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            targets |= {name if name in MODULES else node.module for name in names}
        elif isinstance(node, ast.Import):
            targets |= {alias.name for alias in node.names}
    return targets & MODULES.keys() - {module}


@functools.cache
def imports():
    """Return the imports of each module; read once, and not where these tests are only collected."""
    return {module: imports_of(module) for module in MODULES}


def unit_of(module):
    return "flask_app" if module.startswith("flask_app") else ".".join(module.split(".")[:2])


def circles(graph):
    """Return the sets of nodes that reach one another, by removing what imports nothing that is left."""
    left = {node: set(targets) for node, targets in graph.items()}
    while leaves := [node for node, targets in left.items() if not targets & left.keys()]:
        for node in leaves:
            del left[node]
    return left


def test_the_table_of_floors_names_every_package_and_module_once():
    assert sum(map(len, FLOORS)) == len(FLOOR)
    assert set(FLOOR) == {unit_of(module) for module in MODULES} - {"lockstep"}
    assert len(FLOORS) <= MOST_FLOORS


@pytest.mark.parametrize("module", MODULES)
def test_no_import_goes_up(module):
    own = FLOOR.get(unit_of(module), 0)
    assert {target for target in imports()[module] if FLOOR.get(unit_of(target), 0) > own} == set()


def test_no_modules_import_each_other_in_a_circle():
    assert circles(imports()) == {}


def test_no_packages_import_each_other_in_a_circle():
    graph = {}
    for module, targets in imports().items():
        graph.setdefault(unit_of(module), set()).update({unit_of(target) for target in targets} - {unit_of(module)})
    assert circles(graph) == {}


def test_the_packages_of_the_app_import_each_other_in_no_circle():
    graph = {}
    for module in (module for module in MODULES if module.startswith("flask_app.")):
        package = ".".join(module.split(".")[:2])
        targets = {".".join(target.split(".")[:2]) for target in imports()[module] if target.startswith("flask_app.")}
        graph.setdefault(package, set()).update(targets - {package})
    assert circles(graph) == {}


def test_the_top_of_the_library_fits_on_a_screen():
    assert len(list((ROOT / "src" / "lockstep").glob("*.py"))) <= MOST_TOP_FILES


def test_module_names_are_terms_of_the_field():
    names = {name: name.rpartition(".")[2] for name in MODULES}
    assert {name for name, last in names.items() if last in FORBIDDEN_NAMES} == set()


def test_no_class_name_twice():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in MODULES.values()]
    names = collections.Counter(
        node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    )
    assert {name for name, count in names.items() if count > 1} == set()


def test_function_names_are_verbs_of_the_field():
    vague = {
        f"{module}.{node.name}"
        for module, path in MODULES.items()
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name in ("of", "install")
    }
    assert vague == set()
