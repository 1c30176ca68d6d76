"""Read and check params.yaml: strict YAML, then the typed sections.

An unknown key, a wrong type or a value out of range is refused before any data is read.
"""

import re
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from lockstep import paths
from lockstep.config.params import Params
from lockstep.errors import ConfigError, nearest

# What a merge leaves in a file where both sides changed the same lines.
CONFLICT = re.compile(r"^(<<<<<<<|>>>>>>>)( |$)", re.MULTILINE)


def load(path: Path = paths.PARAMS) -> Params:
    """Read and check params.yaml.

    Raises ConfigError: the file is missing, is not YAML, repeats a key, or says something that is not accepted.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path} not found", "run this inside a Lockstep project, or `lockstep use breast-cancer` to start one"
        ) from None
    except (UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", "save it as UTF-8 text, readable by you") from None
    return parse(text, str(path))


def parse(text: str, name: str = "params.yaml") -> Params:
    """Turn the text of params.yaml into its sections."""
    if marker := CONFLICT.search(text):
        line = text.count("\n", 0, marker.start()) + 1
        raise ConfigError(
            f"{name} line {line}: the conflict markers of a merge", "keep one of the two sides, and remove the markers"
        )
    try:
        content = yaml.load(text, _StrictLoader)  # noqa: S506 - a SafeLoader that refuses more
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        position = f" line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or "not valid YAML"
        raise ConfigError(f"{name}{position}: {reason}", "mend the line; indent with spaces, not tabs") from None
    except (TypeError, ValueError, RecursionError) as error:  # as of 2026-13-45
        raise ConfigError(f"{name}: not valid YAML: {error}", "mend the line; put quotes around a text") from None
    if not isinstance(content, dict):
        raise ConfigError(
            f"{name} is empty or not a mapping", f"it needs the sections {', '.join(Params.model_fields)}"
        )
    try:
        params = Params.model_validate(content)
    except ValidationError as error:
        raise ConfigError(*_explain(error.errors()[0], name)) from None
    _check_folder(params.register_model.model_name, Path(name).absolute().parent)
    return params


def _check_folder(model: str, folder: Path) -> None:
    """Refuse a use case whose model is not named as its folder, by which every command and alert finds it."""
    if paths.root_of(folder) != folder and model != folder.name:
        raise ConfigError(
            f"{paths.USE_CASES / folder.name}: register_model.model_name = {model!r} is not the folder's name",
            f"write model_name: {folder.name}, or rename the folder",
        )


class _StrictLoader(yaml.SafeLoader):
    """YAML without duplicate keys and without aliases, the way to a bomb."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, "aliases are not accepted", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in keys:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            keys.add(key)
        for key_node, value_node in node.value:
            _refuse_ambiguous(key_node.value, value_node)
        return super().construct_mapping(node, deep)


_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)
"""YAML 1.1 takes 1e-05 for a text, and `dvc exp run -S` writes small numbers so."""

AMBIGUOUS = re.compile(r"[-+]?0[0-9_]+$|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$")


def _refuse_ambiguous(key: object, node: yaml.Node) -> None:
    """Refuse 010, which is 8 in YAML 1.1, and 1:30, which is 90."""
    for value in node.value if isinstance(node, yaml.SequenceNode) else [node]:
        if isinstance(value, yaml.ScalarNode) and value.style is None and AMBIGUOUS.match(value.value):
            raise yaml.constructor.ConstructorError(
                None,
                None,
                f"{key} = {value.value} is read as another number: write it plainly, or in quotes if it is a text",
                value.start_mark,
            )


def _explain(fault: Any, name: str) -> tuple[str, str]:
    """Turn one pydantic fault into a cause that names the key, and a hint that says what is accepted."""
    path = [str(part) for part in fault["loc"] if "[" not in str(part) and part not in ("str", "literal")]
    key = ".".join(path)
    if fault["type"] == "extra_forbidden":
        accepted = _fields_at(path[:-1])
        return f"{name}: unknown key {key!r}{nearest(path[-1], accepted)}", f"accepted here: {', '.join(accepted)}"
    if fault["type"] == "missing":
        return f"{name}: {key!r} is missing", "add it; the files in examples/ show every key"
    value = fault["input"]
    hint = ""
    if isinstance(value, bool):
        hint = "YAML reads a bare yes, no, on or off as true or false: put quotes around a word"
    elif isinstance(value, str) and fault["type"] in ("float_type", "int_type"):
        hint = "write the number without quotes"
    elif isinstance(value, float) and fault["type"].startswith("int_"):
        hint = "write the whole number without a point or an exponent"
    return f"{name}: {key} = {value!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}", hint or "mend this value"


def _fields_at(path: list[str]) -> list[str]:
    """List the keys accepted at a place of params.yaml."""
    model: Any = Params
    for part in path:
        if part.isdigit():
            continue
        annotation = model.model_fields[part].annotation
        inner = [argument for argument in get_args(annotation) if isinstance(argument, type)]
        model = inner[0] if inner else annotation
    return list(model.model_fields)
