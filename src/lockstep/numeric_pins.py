"""Instruction-set pins: numeric libraries compute alike on every x86-64 processor with AVX2 (x86-64-v3).

OpenBLAS, numpy and Arrow choose their kernels by processor, and another vector width adds up in another order.
Importing `lockstep` sets the variables below, which each library reads once, when it is loaded, and which child
processes inherit. So numpy must not be loaded earlier; `deviations` reports where it was.

`env $(lockstep doctor --pins) COMMAND` pins a command that loads numpy itself, such as `dask worker`.
"""

import ctypes
import os
import re
from contextlib import suppress
from pathlib import Path

# OpenBLAS's kernels for x86-64-v3. They end a processor without AVX2 by SIGILL, so they are never forced on one.
KERNEL = "Haswell"
NUMPY_BASE = ("X86_V2", "X86_V3")
NUMPY_ABOVE = ("X86_V4", "AVX512_ICL", "AVX512_SPR")
"""numpy's dispatched instruction sets, those that stay and those that are switched off, by their names since numpy 2.4.

None implies another: each is named. numpy passes over one that the processor lacks, and ignores a name that it does not
have; `deviations` compares with numpy's own list.
"""

# Sums over several threads are added up in their number of parts.
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
INSTRUCTIONS = {
    "OPENBLAS_CORETYPE": KERNEL,
    "NPY_DISABLE_CPU_FEATURES": ",".join(NUMPY_ABOVE),
    "ARROW_USER_SIMD_LEVEL": "AVX2",
}

# What computes in training and in serving: other versions may round otherwise, or read a model file otherwise.
LIBRARIES = ("numpy", "scipy", "scikit-learn", "skops", "treelite")
# What a process must not take out of its environment before it has loaded the libraries.
PREFIXES = ("OMP_", "OPENBLAS_", "NPY_", "ARROW_")
# Leaf, register and bit of a feature, in the numbers of glibc: leaf 0 is CPUID 1, leaf 1 is CPUID 7.
_FMA, _AVX2 = (0, 2, 12), (1, 1, 5)


def pin() -> None:
    """Set the variables in this process, over whatever stands there."""
    os.environ.update(variables())
    if has_x86_64_v3():
        os.environ.pop("NPY_ENABLE_CPU_FEATURES", None)  # numpy does not start with both


def variables() -> dict[str, str]:
    """Return the environment variables that pin the libraries on this processor."""
    return THREADS | (INSTRUCTIONS if has_x86_64_v3() else {})


def has_x86_64_v3() -> bool:
    """Return whether processor and operating system offer AVX2 and FMA, which no x86-64-v3 is without."""
    if os.uname().machine != "x86_64":
        return False
    with suppress(AttributeError, OSError):
        return all(_is_active(*feature) for feature in (_FMA, _AVX2))
    with suppress(OSError):  # glibc before 2.33, or another C library
        return {"avx2", "fma"} <= set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    return False


def _is_active(leaf: int, register: int, bit: int) -> bool:
    """Return a bit of glibc's table of features: four registers of CPUID, then the same four with usable bits alone."""
    feature_leaf = ctypes.CDLL(None).__x86_get_cpuid_feature_leaf
    feature_leaf.restype = ctypes.POINTER(ctypes.c_uint32 * 8)
    return bool(feature_leaf(leaf).contents[4 + register] >> bit & 1)


def lacking() -> str:
    """Return why nothing can be pinned on this processor; an empty text on x86-64-v3."""
    if has_x86_64_v3():
        return ""
    machine = os.uname().machine
    return f"{machine} without AVX2 and FMA" if machine == "x86_64" else f"{machine} is not x86-64-v3"


def deviations() -> list[str]:
    """Return how this process computes otherwise than its pins; empty if all are in force or none can be."""
    from threadpoolctl import threadpool_info

    if lacking():
        return []
    loaded = [library for library in threadpool_info() if library["user_api"] == "blas"]
    kernels = {f"{library['internal_api']} {library.get('architecture', '')}".strip() for library in loaded}
    return _numpy_deviations() + [f"BLAS is {name}" for name in sorted(kernels - {f"openblas {KERNEL}"})]


def _numpy_deviations() -> list[str]:
    import numpy as np

    sets = np.show_config(mode="dicts")["SIMD Extensions"]
    used = {*sets["baseline"], *sets["found"]}
    above, absent = sorted(used - set(NUMPY_BASE)), sorted(set(NUMPY_BASE) - used)
    return [f"numpy uses {name}" for name in above] + [f"numpy does without {name}" for name in absent]


def other_versions(lock: Path) -> list[str]:
    """Return the numeric libraries that are installed here in another version than a lock file pins for the image."""
    from importlib.metadata import version  # inside, since every process imports this module

    lines = re.findall(r"(?m)^([\w.-]+)==([^\s;]+)(?: ; python_full_version (>=|<))?", lock.read_text(encoding="utf-8"))
    pinned = {name: pin for name, pin, limit in lines if limit != ">="}  # the image has the oldest Python
    differing = [name for name in LIBRARIES if name in pinned and version(name) != pinned[name]]
    return [f"{name} {version(name)}, and {pinned[name]} in {lock.name}" for name in differing]
