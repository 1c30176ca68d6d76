"""`tests/` mirrors `src/lockstep` and `flask_app`: which module a test module belongs to, and who tests the others."""

import ast
import re

import pytest

from tests.root import ROOT
from tests.test_architecture import MODULES, imports

TESTS = {path: ROOT / "tests" / path for path in ("lockstep", "flask_app")}
SEVERAL_MODULES = {"lockstep/data/test_stage_faults.py", "lockstep/test_extras.py"}
"""Test modules about what several modules do together."""

ELSEWHERE = {
    "flask_app.openapi.reference_page": "flask_app/openapi/test_reference_page.py",
    "flask_app.views.calls": "flask_app/protocols/test_invocations.py",
    "flask_app.wsgi": "serving/test_cases.py",
    "lockstep.__main__": "serving/test_cases.py",
    "lockstep.prediction_log.feedback": "lockstep/data/test_feedback.py",
    "lockstep.prediction_log.migrations.env": "lockstep/prediction_log/test_database.py",
    "lockstep.prediction_log.migrations.versions.m0001_log": "lockstep/prediction_log/test_database.py",
    "lockstep.prediction_log.migrations.versions.m0002_monitoring": "lockstep/prediction_log/test_database.py",
    "lockstep.prediction_log.migrations.versions.m0003_value": "lockstep/prediction_log/test_database.py",
    "lockstep.prediction_log.migrations.versions.m0004_author": "lockstep/prediction_log/test_database.py",
}
"""Modules without a mirror that neither tests nor a tested module import, and what tests them."""

TEST_MODULES = {
    path.relative_to(ROOT / "tests").as_posix(): path for base in TESTS.values() for path in base.rglob("test_*.py")
}


def module_of(test):
    """Return the module that `test_NAME.py` or `test_NAME_TOPIC.py` mirrors, if there is one."""
    package, _, name = test.removesuffix(".py").replace("/", ".").partition(".test_")
    words = name.split("_")
    names = (f"{package}.{'_'.join(words[:end])}" for end in range(len(words), 0, -1))
    return next((name for name in names if name in MODULES), None)


def used_by_tests():
    """Return the modules that tests import, and the commands that they run by the command line."""
    names = set()
    for path in (ROOT / "tests").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        names |= {f"lockstep.commands.{command}" for command in re.findall(r'\.lockstep\("(\w+)"', text)}
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
    return names & MODULES.keys()


MIRRORED = {module_of(test) for test in TEST_MODULES} - {None}


def used_by(modules):
    """Return the modules that these import, and those that they reach within a package."""
    reached = set().union(*(imports()[module] for module in modules))
    while more := {target for module in reached for target in imports()[module] if beside(module, target)} - reached:
        reached |= more
    return reached


def beside(module, other):
    return module.rpartition(".")[0] == other.rpartition(".")[0]


@pytest.mark.parametrize("test", sorted(TEST_MODULES.keys() - SEVERAL_MODULES))
def test_a_test_module_mirrors_a_module(test):
    assert module_of(test), f"{test} mirrors no module: move it, or add it to SEVERAL_MODULES"


def test_the_table_of_tests_of_several_modules_is_true():
    assert {test for test in SEVERAL_MODULES if test not in TEST_MODULES or module_of(test)} == set()


def test_a_module_without_a_mirror_is_used_by_tests_or_by_a_module_that_has_one():
    tested = MIRRORED | used_by_tests()
    reached = tested | used_by(tested) | ELSEWHERE.keys()
    modules = {module for module, path in MODULES.items() if path.name != "__init__.py"}
    assert modules - reached == set(), "write a test module at the mirrored path"


def test_the_table_of_modules_tested_elsewhere_is_true():
    assert [test for test in ELSEWHERE.values() if not (ROOT / "tests" / test).exists()] == []
    assert ELSEWHERE.keys() - MODULES.keys() == set()
