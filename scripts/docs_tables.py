"""Write the tables of docs/params.md, search.md, settings.md and others from the code, between their markers.

    python scripts/docs_tables.py [--check]

Keys, accepted values and defaults come from the code; what a key of params.yaml means is written by hand in the last
column, and kept. With --check nothing is written, and exit code 1 says that a page is not up to date.
"""

import argparse
import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import starmap
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from pydantic.fields import FieldInfo

from flask_app.observability.gauges import GAUGES
from flask_app.observability.telemetry import Telemetry
from lockstep import compat
from lockstep.autoconfig import (
    cell_counts,
    column_roles,
    csv_dialect,
    date_formats,
    encodings,
    inspect,
    number_formats,
    split_proposals,
    value_formats,
)
from lockstep.config.params import FORMATS, Between, Params, Reader, Section
from lockstep.config.settings import SETTINGS
from lockstep.data import cells, date_words
from lockstep.data.sources.read import BUNDLED
from lockstep.features.tokenizer import CLEANERS
from lockstep.features.transformers import DATE_PARTS
from lockstep.metrics import combinations, leakage
from lockstep.metrics.scores import METRICS
from lockstep.modeling.catalog import ESTIMATORS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BLOCK = re.compile(r"(<!-- begin (\w+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)
PARAMS_ROW = re.compile(r"^\| `([\w.]+)` \|.*\| (.*?) \|$", re.MULTILINE)
WORDS = {str: "text", int: "whole number", float: "number", bool: "`true`, `false`", type(None): "`null`"}
LIMITS = {"ge": "at least {}", "gt": "above {}", "lt": "below {}", "min_length": "not empty", "pattern": "`{}`"}


def main(words: Sequence[str]) -> int:
    """Rewrite the pages, or check that they are up to date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is not up to date")
    check = parser.parse_args(words).check
    faults = [fault for name, tables in PAGES.items() for fault in refresh(DOCS / name, tables, write=not check)]
    print("\n".join(faults), end="\n" if faults else "", file=sys.stderr)
    return int(bool(faults))


def refresh(page: Path, tables: Callable[[str], Mapping[str, str]], write: bool) -> Iterator[str]:
    """Fill the marked blocks of a page; yield its remaining problems."""
    text = page.read_text(encoding="utf-8")
    contents = tables(text)
    blocks = [match[2] for match in BLOCK.finditer(text)]
    if sorted(blocks) != sorted(contents):
        yield f"{page.name}: has the blocks {', '.join(blocks)}; it needs {', '.join(contents)}"
        return
    filled = BLOCK.sub(lambda match: f"{match[1]}{contents[match[2]]}{match[3]}", text)
    if write:
        page.write_text(filled, encoding="utf-8")
    elif filled != text:
        yield f"{page.name}: is not up to date; run `python scripts/docs_tables.py` and commit it"
    yield from (
        f"{page.name}: say what {key} means" for key, meaning in PARAMS_ROW.findall(filled) if not meaning.strip()
    )


def params_tables(text: str) -> dict[str, str]:
    """Return one table for each section of params.yaml, and the lists of names."""
    meanings = dict(PARAMS_ROW.findall(text))
    tables = {}
    for section, field in Params.model_fields.items():
        rows = [(*row, meanings.get(row[0].strip("`"), "")) for row in keys(section, field.annotation)]
        tables[section] = table(("key", "accepted", "default", "meaning"), rows)
    return tables | {"names": table(("where", "names"), list(names()))}


def keys(place: str, section: Any) -> Iterator[tuple[str, str, str]]:
    """Yield key, accepted values and default of each leaf below a section."""
    for name, field in section.model_fields.items():
        inner = section_in(field.annotation)
        if inner:
            yield from keys(f"{place}.{name}", inner)
        else:
            yield f"`{place}.{name}`", accepted(field), default(field)


def section_in(annotation: Any) -> type[Section] | None:
    """Return the section that an annotation is, or is a list of."""
    inner = [part for part in (annotation, *get_args(annotation)) if isinstance(part, type)]
    return next((part for part in inner if issubclass(part, Section)), None)


def accepted(field: FieldInfo) -> str:
    """Say in words what a field takes."""
    limits = [
        word.format(bound)
        for constraint in field.metadata
        for name, word in LIMITS.items()
        if (bound := getattr(constraint, name, None)) is not None
    ]
    return ", ".join([kind(field.annotation), *limits])


def kind(annotation: Any) -> str:
    """Say in words what a type is."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" if str(value).strip() else f"`'{value}'`" for value in inner)
    if origin in (Union, UnionType):
        return ", ".join(dict.fromkeys(map(kind, inner)))
    if origin is tuple or (origin and get_origin(inner[0]) is tuple):
        item = inner[0] if origin is tuple else get_args(inner[0])[0]
        return f"list of {kind(item)}"
    if origin is dict:
        return f"mapping of names to {kind(inner[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return f"`{{{', '.join(annotation.model_fields)}}}`"
    return WORDS[annotation]


def default(field: FieldInfo) -> str:
    """Return a default as it stands in YAML."""
    if field.is_required():
        return "required"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()
    return f"`{text}`"


def names() -> Iterator[tuple[str, str]]:
    """Yield the lists that params.yaml chooses from by name."""
    yield "`data_ingestion.source: sklearn:<name>`", listed(BUNDLED)
    for title, catalog in (("estimators", ESTIMATORS), ("metrics", METRICS)):
        for task in ("binary", "multiclass", "regression"):
            yield f"{title} of {task} targets", listed(name for name, entry in catalog.items() if task in entry.tasks)
    yield "`feature_engineering.text.clean`", listed(CLEANERS)
    yield "`feature_engineering.date.parts`", listed(DATE_PARTS)


def search_tables(_: str) -> dict[str, str]:
    """Return the table of what each estimator's parameters are drawn from."""
    rows = [(f"`{name}`", "<br>".join(starmap(_drawn, entry.space.items()))) for name, entry in ESTIMATORS.items()]
    return {"spaces": table(("estimator", "drawn from"), rows)}


def _drawn(name: str, values: Any) -> str:
    if not isinstance(values, Between):
        return f"`{name}`: {', '.join(map(str, values))}"
    whole = ", whole numbers" if values.kind == "int" else ""
    by = ", by the logarithm" if values.scale == "log" else ""
    return f"`{name}`: {values.low:g} to {values.high:g}{whole}{by}"


def listed(words: Any) -> str:
    """Join names as code."""
    return ", ".join(f"`{word}`" for word in words)


def settings_tables(_: str) -> dict[str, str]:
    """Return the table of settings."""
    rows = [
        (
            listed(setting.variables),
            f"`{setting.default}`" if setting.default else "",
            "yes" if setting.secret else "",
            setting.meaning,
        )
        for setting in SETTINGS
    ]
    return {"settings": table(("variable", "default", "secret", "meaning"), rows)}


def pipeline_tables(_: str) -> dict[str, str]:
    """Return the table of stages: what each reads and writes, from dvc.yaml, and what it does, from its script."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    rows = []
    for name, stage in stages.items():
        read = [path for path in stage["deps"] if not path.startswith("src/")]
        written = [path for out in (*stage["outs"], *stage.get("metrics", [])) for path in names_of(out)]
        rows.append(
            (f"`{name}`", (docstring(ROOT / "src" / f"{name}.py") or "").rstrip("."), listed(read), listed(written))
        )
    return {"stages": table(("stage", "does", "reads", "writes"), rows)}


def monitoring_tables(_: str) -> dict[str, str]:
    """Return the table of metrics: those that workers count, and those that are read from the snapshot."""
    registry = CollectorRegistry()
    own = [each for each in vars(Telemetry(registry)).values() if isinstance(each, MetricWrapperBase)]
    counted = {name: (kind, labels, meaning) for name, kind, labels, meaning in map(compat.describe_metric, own)}
    gauges = {name: ("gauge", gauge["labels"], gauge["about"]) for name, gauge in GAUGES.items()}
    rows = [
        (f"`{name}`", kind, listed(labels), meaning.rstrip("."))
        for name, (kind, labels, meaning) in {**counted, **gauges}.items()
    ]
    return {"metrics": table(("metric", "type", "labels", "meaning"), rows)}


def architecture_tables(_: str) -> dict[str, str]:
    """Return the table of floors, and that of modules with the first line of each docstring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    floors = list(enumerate(project["tool"]["lockstep"]["floors"], start=1))
    rows = [(str(floor), listed(units)) for floor, units in reversed(floors)]
    modules = [
        (f"`{'.'.join(path.relative_to(base).with_suffix('').parts)}`", (docstring(path) or "").partition("\n")[0])
        for base, folder in ((ROOT / "src" / "lockstep", "."), (ROOT, "flask_app"))
        for path in sorted((base / folder).rglob("*.py"))
        if not path.name.startswith("__")
    ]
    return {"floors": table(("floor", "packages"), rows), "modules": table(("module", "contents"), modules)}


def init_tables(_: str) -> dict[str, str]:
    """Return the table of what `lockstep init` recognises, and that of the thresholds of its verdicts."""
    markers = sorted(cell_counts.MARKERS - {""})
    number_marks = (f"`{decimal}` and {f'`{mark}`' if mark else 'none'}" for decimal, mark in number_formats.MARKS)
    recognised = [
        ("file formats", "; ".join(f"{name}: {listed(endings)}" for name, endings in FORMATS.items())),
        ("encodings beside Unicode", listed([*encodings.LATIN, *encodings.FREQUENT, *encodings.USUAL])),
        ("separators", f"{', '.join(csv_dialect.SEPARATORS.values())}, blanks"),
        ("marks of comment lines", listed(csv_dialect.COMMENTS)),
        ("missing in every column", listed(dict.fromkeys([*Reader().missing[1:], *sorted(value_formats.EVERYWHERE)]))),
        ("missing among numbers, dates and booleans", f"{listed(markers)}, in any case"),
        ("decimal and thousands separators", "; ".join(number_marks)),
        ("currencies", listed(sorted(number_formats.CURRENCIES))),
        ("multipliers", ", ".join(f"`{word}` {factor:,.0f}" for word, factor in number_formats.FACTORS.items())),
        ("true and false", f"{listed(sorted(value_formats.TRUE))}; {listed(sorted(value_formats.FALSE))}"),
        ("days", f"`ISO8601`, {listed([*date_formats.DAYS, *date_formats.WORDS])}"),
        ("months", listed(date_formats.MONTHS)),
        ("times after a day", listed(time.strip() for time in date_formats.TIMES)),
        ("other moments", f"{listed(date_formats.UNIX)}, `%Y%m%d`, seconds and milliseconds since 1970"),
        ("names of months, such as those of January", listed(date_words.MONTHS[0].split())),
        ("units of durations", listed(cells.SECONDS)),
    ]
    return {"recognised": table(("what", "spellings"), recognised), "verdicts": table(("verdict", "rule"), verdicts())}


def verdicts() -> list[tuple[str, str]]:
    """Return the rules of what is left out or named, with their thresholds."""
    noisy, near, far = leakage.NOISY, leakage.NEAR, leakage.MARGIN
    rows, filled = column_roles.ROWS_OF_GROUP, f"{leakage.ONE_CLASS:.1%} of its {leakage.MIN_FILLED} or more cells"
    return [
        ("leak", f"predicts {leakage.PERFECT:.1%} of held-out rows alone (mean recall of the classes, or R2)"),
        ("leak", f"predicts {noisy['binary']:.0%} (R2 {noisy['regression']}), {far} ahead of every other column"),
        ("leak", f"one of up to {combinations.MAX_TERMS} columns whose sum, product or ratio is the target"),
        ("leak", f"has values in the rows of one class only ({filled})"),
        ("near copy", f"{near['binary']} beyond chance, or a squared rank correlation of {near['regression']}"),
        ("too good", f"quick models reach {inspect.TOO_GOOD} before training"),
        ("group", f"{rows} rows a value, in which another column of many numbers is constant; or an id by its name"),
        ("time", f"{split_proposals.ORDERED:.0%} of the rows follow each other in a date column"),
        ("sample", f"beyond {inspect.MOST_ROWS:,} rows, as many are drawn with the seed {inspect.SEED}"),
    ]


def docstring(path: Path) -> str | None:
    """Return the docstring of a module."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def names_of(out: Any) -> list[str]:
    """Return the path of an output of dvc.yaml, which may carry options."""
    return list(out) if isinstance(out, dict) else [out]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


PAGES: dict[str, Callable[[str], Mapping[str, str]]] = {
    "params.md": params_tables,
    "search.md": search_tables,
    "settings.md": settings_tables,
    "pipeline.md": pipeline_tables,
    "monitoring.md": monitoring_tables,
    "architecture.md": architecture_tables,
    "init.md": init_tables,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
