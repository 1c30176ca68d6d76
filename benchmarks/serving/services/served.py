"""The application that a server under test imports: the one named in BENCH_APP, called first if it ends in ()."""

import os
from importlib import import_module
from typing import Any


def find(target: str) -> Any:
    """Return what `module:name` or `module:factory()` stands for."""
    module, _, name = target.partition(":")
    found = getattr(import_module(module), name.removesuffix("()"))
    return found() if name.endswith("()") else found


app = find(os.environ["BENCH_APP"])
