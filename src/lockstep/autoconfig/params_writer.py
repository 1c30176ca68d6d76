"""The decisions as a params.yaml that explains itself."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from lockstep.autoconfig.baseline_score import Baseline
from lockstep.autoconfig.training_plan import LEAST_IN_CLASS, Plan
from lockstep.config.params import DataIngestion, Split

WIDTH = 110
LONGEST_KEY = 40  # DVC folds longer keys in dvc.lock, which it then cannot read.
STATED = ("format", "query", "newest", "sha256", "allow_private")


def render(ingestion: DataIngestion, target: str, plan: Plan, baseline: Baseline | None, name: str) -> str:
    """Return the text of params.yaml."""
    stated = {key: getattr(ingestion, key) for key in STATED}
    return template("params.yaml.jinja").render(
        source=ingestion.source if isinstance(ingestion.source, str) else list(ingestion.source),
        ingestion={k: v for k, v in stated.items() if v != DataIngestion.model_fields[k].default},
        reader=ingestion.reader.model_dump(mode="json", exclude_defaults=True),
        target=target,
        plan=plan,
        random=Split(),
        least_in_class=LEAST_IN_CLASS,
        baseline=baseline,
        name=name,
    )


@cache
def template(name: str) -> Template:
    """Return a template of this package, whose values are written by its filters."""
    environment = Environment(  # noqa: S701 - YAML, each value of which is written by `flow`
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"flow": flow, "wrapped": _wrapped, "reader_lines": _reader_lines, "split": _split}
    return environment.get_template(name)


def flow(value: Any) -> str:
    """Return a value as it stands in one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), allow_unicode=True, sort_keys=False)
    return str(text).removesuffix("\n").removesuffix("\n...")


def _split(split: Split) -> str:
    return flow(split.model_dump(include={"method", "column", "test_size", "seed"}, exclude_none=True))


def _wrapped(names: Sequence[str], head: str) -> str:
    """Return a list of names, over as many lines as it needs."""
    lines, line = [], f"{head}["
    for index, name in enumerate(names):
        word = flow([name])[1:-1] + ("]" if index == len(names) - 1 else ",")
        if len(line) + len(word) > WIDTH and not line.endswith("["):
            lines.append(line)
            line = " " * 6
        line += word if line.endswith(("[", " ")) else f" {word}"
    return "\n".join([*lines, line])


def _reader_lines(value: Any, key: str) -> str:
    """Return a key of the reader: names over several lines, the formats of columns one a line."""
    if key == "names":
        return _wrapped(value, "    names: ")
    return "\n".join(["    columns:", *_described(value)]) if key == "columns" else f"    {key}: {flow(value)}"


def _described(columns: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the formats of columns; as a list where a name is too long for a key."""
    as_list = any(len(name) > LONGEST_KEY for name in columns)
    lines = []
    for name, described in columns.items():
        if any(len(spelling) > LONGEST_KEY for spelling in described.get("spellings", ())):
            described = {**described, "spellings": [list(pair) for pair in described["spellings"].items()]}
        line = f"      {flow(name)}: {flow(dict(described))}"
        if not as_list and (len(line) <= WIDTH or not described):
            lines.append(line)
            continue
        lines.append(f"      - name: {flow(name)}" if as_list else f"      {flow(name)}:")
        lines += [f"        {key}: {flow(value)}" for key, value in described.items()]
    return lines
