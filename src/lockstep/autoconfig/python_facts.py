"""What Python files say without being run: their calls and assignments, with the values that can be read off."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

UNKNOWN: Any = object()
LOADS = ("load_params", "safe_load", "params_show")  # Functions that return the content of params.yaml.


@dataclass(frozen=True)
class Variable:
    """The value of an environment variable."""

    name: str


@dataclass(frozen=True)
class TableColumn:
    """`frame["name"]`, whatever is called on it: a column of a table."""

    name: str


@dataclass(frozen=True)
class FunctionCall:
    """A call: the last part of what is called, the column it is called on, if any, and its arguments."""

    name: str
    on: Any
    positional: tuple[Any, ...]
    named: Mapping[str, Any]


@dataclass
class PythonFile:
    """The facts of one file. `params` is the content of params.yaml; `used` collects its keys that are read."""

    path: Path
    params: Any
    used: set[str]
    values: dict[str, Any] = field(default_factory=dict)
    calls: list[FunctionCall] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def read(self) -> "PythonFile":
        """Parse the file. Raises SyntaxError, or ValueError for bytes that are no text."""
        nodes = list(ast.walk(ast.parse(self.path.read_text(encoding="utf-8"))))
        functions = {node.name: node.args for node in nodes if isinstance(node, ast.FunctionDef)}
        for _ in range(3):  # a value may come from an argument, that from a name, and that from params.yaml
            for node in nodes:
                self._bind(node, functions)
        self.calls = [self._call(node) for node in nodes if isinstance(node, ast.Call)]
        self.names = {_last(node) for node in nodes if isinstance(node, ast.expr)}
        return self

    def _bind(self, node: ast.AST, functions: Mapping[str, ast.arguments]) -> None:
        """Give a name the value of what is assigned to it, or of the argument of a function of this file."""
        pairs: list[tuple[str, ast.expr]] = []
        if isinstance(node, ast.Assign):
            pairs = [(target.id, node.value) for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
            names = [argument.arg for argument in functions[node.func.id].args]
            pairs = [
                *zip(names, node.args, strict=False),
                *((word.arg, word.value) for word in node.keywords if word.arg),
            ]
        for name, expression in pairs:
            if (value := self.value(expression)) is not UNKNOWN:
                self.values[name] = value

    def _call(self, node: ast.Call) -> FunctionCall:
        on = node.func.value if isinstance(node.func, ast.Attribute) else None
        return FunctionCall(
            _last(node.func),
            self.value(on) if on else UNKNOWN,
            tuple(map(self.value, node.args)),
            {word.arg: self.value(word.value) for word in node.keywords if word.arg},
        )

    def value(self, node: ast.AST) -> Any:
        """Return the value of an expression, or UNKNOWN."""
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self.values.get(name, self.params if name == "params" else UNKNOWN)
            case ast.List(elts=items):
                return [self.value(item) for item in items]
            case ast.Tuple(elts=items):
                return tuple(map(self.value, items))
            case ast.Dict(keys=keys, values=values):
                mapping = {self.value(key): self.value(value) for key, value in zip(keys, values, strict=True) if key}
                return UNKNOWN if UNKNOWN in mapping or UNKNOWN in mapping.values() else mapping
            case ast.JoinedStr(values=parts):
                texts = [self.value(part.value if isinstance(part, ast.FormattedValue) else part) for part in parts]
                return UNKNOWN if UNKNOWN in texts else "".join(map(str, texts))
            case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]) if _reads_environment(function):
                return Variable(name)
            case ast.Subscript(value=ast.Attribute(attr="environ"), slice=ast.Constant(value=str(name))):
                return Variable(name)
            case ast.Call(func=function) if _last(function) in LOADS:
                return self.params
            case (
                ast.Subscript(value=owner, slice=key)
                | ast.Call(func=ast.Attribute(value=owner, attr="get"), args=[key, *_])
            ):
                return self._item(self.value(owner), self.value(key))
            case ast.Attribute(value=owner) | ast.Call(func=ast.Attribute(value=owner)):
                column = self.value(owner)  # df["review"].values, or .astype(str)
                return column if isinstance(column, TableColumn) else UNKNOWN
        return UNKNOWN

    def _item(self, owner: Any, key: Any) -> Any:
        if isinstance(owner, dict):
            self.used.update(_dotted(self.params, owner, key))
            return owner.get(key, UNKNOWN) if isinstance(key, str | int) else UNKNOWN
        return TableColumn(key) if owner is UNKNOWN and isinstance(key, str) else UNKNOWN


def _dotted(params: Any, section: Any, key: Any, path: str = "") -> Iterator[str]:
    """Yield the dotted name of a key of a section of params."""
    if params is section:
        yield f"{path}{key}"
    elif isinstance(params, dict):
        for name, inner in params.items():
            yield from _dotted(inner, section, key, f"{path}{name}.")


def _last(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _reads_environment(function: ast.expr) -> bool:
    return ast.unparse(function) in {"os.getenv", "getenv", "os.environ.get", "environ.get"}
