"""Follow the project's own imports, wherever in a file they stand."""

import ast
from pathlib import Path


def imported_files(script: Path, root: Path) -> set[str]:
    """Return the project's files that a script imports, directly or through others, relative to the root.

    The templates of a module that fills in some belong to them.
    """
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        for path in _imports(waiting.pop(), root) - found:
            found.add(path)
            waiting += [path] if path.suffix == ".py" else []
    return {path.relative_to(root).as_posix() for path in found}


def _imports(path: Path, root: Path) -> set[Path]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    parents = {".".join(name.split(".")[:end]) for name in names for end in range(1, name.count(".") + 2)}
    return {file for name in parents for file in _files(name, root)} | _templates(path)


def _templates(module: Path) -> set[Path]:
    folder = module.with_name("pages")
    return set(folder.iterdir()) if module.name == "templates.py" and folder.is_dir() else set()


def _files(name: str, root: Path) -> list[Path]:
    base = root / "src" / Path(*name.split("."))
    return [path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()]
