import ast
import os
import subprocess
import sys

import numpy as np
import pytest

from lockstep import numeric_pins
from tests.root import ROOT

V3_ONLY = pytest.mark.skipif(bool(numeric_pins.lacking()), reason=f"NOT TESTED: {numeric_pins.lacking()}")
HOSTILE = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "OMP_NUM_THREADS": "3",
    "OPENBLAS_NUM_THREADS": "3",
    "NPY_ENABLE_CPU_FEATURES": "X86_V3",
    "ARROW_USER_SIMD_LEVEL": "NONE",
}
STATE = """
import {module}, scipy.linalg, pyarrow, threadpoolctl
from lockstep import numeric_pins
print(numeric_pins.deviations())
print(sorted({{library["num_threads"] for library in threadpoolctl.threadpool_info()}}))
print(pyarrow.runtime_info().simd_level)
"""


def run(code, **environment):
    path = os.pathsep.join(map(str, (ROOT / "src", ROOT)))
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines(), done.stderr


@V3_ONLY
@pytest.mark.parametrize("module", ["lockstep.features.build", "model_building", "model_evaluation", "flask_app.wsgi"])
def test_the_pins_are_in_force_whatever_the_environment_says(module):
    (deviations, threads, arrow), warned = run(STATE.format(module=module), **HOSTILE)
    assert (deviations, threads, arrow) == ("[]", "[1]", "avx2")
    assert "NPY_DISABLE_CPU_FEATURES" not in warned


@V3_ONLY
def test_libraries_loaded_before_lockstep_are_reported():
    code = "import numpy, scipy.linalg\nfrom lockstep import numeric_pins\nprint(*numeric_pins.deviations(), sep='\\n')"
    deviations, _ = run(code, OPENBLAS_CORETYPE="Nehalem", NPY_DISABLE_CPU_FEATURES="X86_V3")
    assert {"BLAS is openblas Nehalem", "numpy does without X86_V3"} <= set(deviations)


@V3_ONLY
def test_the_tests_compute_as_the_stages_do():
    assert numeric_pins.deviations() == []


def test_the_names_are_those_of_numpys_own_list():
    from numpy._core._multiarray_umath import __cpu_baseline__, __cpu_dispatch__

    if numeric_pins.lacking().endswith("is not x86-64-v3"):
        pytest.skip(f"NOT TESTED: numpy {np.__version__} for this machine lists other instruction sets")
    names = (*numeric_pins.NUMPY_BASE, *numeric_pins.NUMPY_ABOVE)
    assert names == (*__cpu_baseline__, *__cpu_dispatch__)


def test_the_image_of_the_dask_workers_sets_every_pin():
    dockerfile = (ROOT / "k8s/dask/Dockerfile").read_text(encoding="utf-8")
    pins = numeric_pins.THREADS | numeric_pins.INSTRUCTIONS
    assert [name for name, value in pins.items() if f" {name}={value}" not in dockerfile] == []


@pytest.mark.parametrize("script", sorted((ROOT / "src").glob("*.py")), ids=lambda path: path.stem)
def test_no_stage_loads_a_library_before_lockstep(script):
    """Imports are sorted with lockstep last, so one of another package at the top would come first."""
    body = ast.parse(script.read_text(encoding="utf-8")).body
    names = [node.module for node in body if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in body if isinstance(node, ast.Import) for alias in node.names]
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names | {"lockstep"}


@pytest.mark.parametrize(
    ("machine", "features", "lacking"),
    [
        ("x86_64", True, ""),
        ("x86_64", False, "x86_64 without AVX2 and FMA"),
        ("aarch64", True, "aarch64 is not x86-64-v3"),
    ],
)
def test_another_processor_gets_threads_alone(monkeypatch, machine, features, lacking):
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "host", "1", "1", machine)))
    monkeypatch.setattr(numeric_pins, "_is_active", lambda *bit: features)
    assert numeric_pins.lacking() == lacking
    assert numeric_pins.variables() == numeric_pins.THREADS | ({} if lacking else numeric_pins.INSTRUCTIONS)
    assert not lacking or numeric_pins.deviations() == []


def test_an_older_c_library_is_read_through_the_kernel(monkeypatch):
    def absent(*bit):
        raise AttributeError

    before = numeric_pins.lacking()
    monkeypatch.setattr(numeric_pins, "_is_active", absent)
    assert numeric_pins.lacking() == before
