"""The decisions as a params.yaml that explains itself."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from lockstep.autoconfig.baseline_score import Baseline
from lockstep.autoconfig.training_plan import LEAST_IN_CLASS, Plan
from lockstep.config.params import KINDS, DataIngestion, Role, Split

WIDTH = 110
LONGEST_KEY = 40  # DVC folds longer keys in dvc.lock, which it then cannot read.
READER = {
    "separator": "what stands between two values",
    "header": "whether the first line names the columns",
    "names": "the columns, from left to right: write better names here, and below",
    "encoding": "how letters are written as bytes",
    "missing": "the texts that count as missing, and no others",
    "quote": "empty: quotes are part of the text",
    "escape": "stands before a quote within quotes",
    "trim": "cut off blanks around values",
    "skip": "lines above the header that are left out",
    "footer": "lines at the end that are no rows",
    "comment": "lines that begin so are left out",
    "sheet": "which sheet of the spreadsheet: its name, or its number from 0 on",
    "columns": "how cells are spelled where it is not plain; odd: missing: what is spelled otherwise is missing",
}
ROLES: Mapping[Role, str] = {
    "numeric": "numbers",
    "categorical": "one of a few values",
    "text": "free text",
    "date": "ISO 8601",
    "id": "they name a row: left out",
    "ignore": "left out",
}


def render(ingestion: DataIngestion, target: str, plan: Plan, baseline: Baseline | None, name: str) -> str:
    """Return the text of params.yaml."""
    sections = [
        ["# Written by `lockstep init`. Edit, then `dvc repro` or `make repro`: only stages that a change touches",
         "# run again. docs/params.md lists every key; a key that is not known is refused by name."],
        _ingestion(ingestion), _preprocessing(target, plan), _features(plan), _building(plan),
        _evaluation(plan, baseline),
        ["register_model:", f"  model_name: {flow(name)}   # its versions in the model registry"],
    ]  # fmt: skip
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def flow(value: Any) -> str:
    """Return a value as it stands in one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), allow_unicode=True, sort_keys=False)
    return str(text).removesuffix("\n").removesuffix("\n...")


def _wrapped(head: str, names: Sequence[str]) -> list[str]:
    """Return a list of names, over as many lines as it needs."""
    lines, line = [], f"{head}["
    for index, name in enumerate(names):
        word = flow([name])[1:-1] + ("]" if index == len(names) - 1 else ",")
        if len(line) + len(word) > WIDTH and not line.endswith("["):
            lines.append(line)
            line = " " * 6
        line += word if line.endswith(("[", " ")) else f" {word}"
    return [*lines, line]


def _ingestion(ingestion: DataIngestion) -> list[str]:
    source: Any = ingestion.source if isinstance(ingestion.source, str) else list(ingestion.source)
    lines = ["data_ingestion:", f"  source: {flow(source)}"]
    for key in ("format", "query", "newest", "sha256", "allow_private"):
        if getattr(ingestion, key) != DataIngestion.model_fields[key].default:
            lines.append(f"  {key}: {flow(getattr(ingestion, key))}")
    stated = ingestion.reader.model_dump(mode="json", exclude_defaults=True)
    if stated:
        lines.append("  reader:")
        for key, value in stated.items():
            lines.append(f"    # {READER[key]}")
            lines += KEYS.get(key, lambda name, content: [f"    {name}: {flow(content)}"])(key, value)
    return lines


def _described(key: str, columns: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the formats of columns, one a line; as a list where a name is too long for a key."""
    as_list = any(len(name) > LONGEST_KEY for name in columns)
    lines = [f"    {key}:"]
    for name, described in columns.items():
        if any(len(spelling) > LONGEST_KEY for spelling in described.get("spellings", ())):
            described = {**described, "spellings": [list(pair) for pair in described["spellings"].items()]}
        lines += _listed(name, described) if as_list else _format_lines(name, described)
    return lines


def _listed(name: str, described: Mapping[str, Any]) -> list[str]:
    return [f"      - name: {flow(name)}", *(f"        {key}: {flow(value)}" for key, value in described.items())]


def _format_lines(name: str, described: Mapping[str, Any]) -> list[str]:
    line = f"      {flow(name)}: {flow(dict(described))}"
    if len(line) <= WIDTH or not described:
        return [line]
    return [f"      {flow(name)}:", *(f"        {key}: {flow(value)}" for key, value in described.items())]


KEYS: dict[str, Callable[[str, Any], list[str]]] = {
    "names": lambda key, names: _wrapped(f"    {key}: ", names),
    "columns": _described,
}


def _preprocessing(target: str, plan: Plan) -> list[str]:
    lines = [
        "data_preprocessing:",
        f"  target: {flow(target)}   # the column to predict; rows without it are dropped",
        f"  task: {plan.task}   # binary, multiclass or regression",
        *(
            [f"  positive: {flow(plan.positive)}   # what precision, recall and curves are about"]
            if plan.positive is not None
            else []
        ),
        *(
            [
                f"  rare_classes: {plan.rare_classes}   # of fewer than least_in_class rows: keep, drop or join",
                f"  least_in_class: {LEAST_IN_CLASS}",
            ]
            if plan.rare_classes != "keep"
            else []
        ),
        "  # The role of each column. To leave one out, move it to `ignore`.",
        "  columns:",
    ]
    for role in (*KINDS, "id", "ignore"):
        if names := plan.of(role):  # type: ignore[arg-type]
            lines.append(f"    # {ROLES[role]}")  # type: ignore[index]
            lines += _wrapped(f"    {role}: ", names)
    return [
        *lines,
        "    other: ignore   # a column that comes with new data and is not named here: auto, ignore or refuse",
        f"  drop_duplicates: {flow(plan.drop_duplicates)}   # they must not stand on both sides of the split",
        f"  split: {_split(Split())}   # auto: stratified for classes, random for regression",
        *(f"  # split: {_split(split)}   # {WHEN[split.method]}" for split in plan.splits),
    ]


def _split(split: Split) -> str:
    return flow(split.model_dump(include={"method", "column", "test_size", "seed"}, exclude_none=True))


WHEN = {"group": "if predictions are for others than those of these rows", "time": "if predictions are for later rows"}


def _features(plan: Plan) -> list[str]:
    notes = {
        "numeric": "missing numbers are filled; the linear candidate needs columns of one scale",
        "categorical": "encode: a feature for each category (onehot), or the mean of the target in it (target);\n"
        "  # a category never seen in training: `ignore` it, or `refuse` the row",
        "text": "terms of words, or of characters where a script has no blanks, that enough texts hold;\n"
        "  # naive_bayes: weighed by what they tell of classes; stack: one feature a class, from a model of the terms",
    }
    lines = ["feature_engineering:"] if plan.features else ["feature_engineering: {}"]
    for key, value in plan.features.items():
        lines += [f"  # {notes[key]}", f"  {key}: {flow(dict(value))}"]
    return lines


def _building(plan: Plan) -> list[str]:
    return [
        "model_building:",
        "  # Every candidate with every point of its grid is cross-validated on the train rows; the best is kept.",
        "  candidates:",
        *(f"    - {flow(dict(candidate))}" for candidate in plan.candidates),
        f"  metric: {plan.metric}",
        f"  folds: {plan.folds}",
        "  seed: 42",
        "  jobs: 2   # processes; the result is the same for any number",
    ]


def _evaluation(plan: Plan, baseline: Baseline | None) -> list[str]:
    lines = ["model_evaluation:", f"  resamples: {plan.resamples}   # bootstrap resamples behind every 95 % interval"]
    if plan.trusted:
        lines += [
            "  # columns that tell the target alone, and are known before it",
            *_wrapped("  trusted: ", plan.trusted),
        ]
    if baseline is None:
        return [*lines, "  # What the test rows must show before a version may be promoted: raise it to what you need.",
                "  floors: {}"]  # fmt: skip
    return [
        *lines,
        "  # What the test rows must show before a version may be promoted. This one stands halfway between the best",
        f"  # constant answer ({baseline.constant:.3f}) and quick models on a part of the rows"
        f" ({baseline.reached:.3f}): raise it to what you need.",
        f"  floors: {flow({baseline.metric: baseline.floor})}",
    ]
