"""Show what new data must keep to, or accept what training has learned as the data contract.

--accept writes data/external/contract.json from models/schema.json: from then on `dvc repro` holds every new row of the
same source against it, and data_preprocessing.contract.on_violation says what becomes of rows that break it.

Example: lockstep contract --accept --margin 0.5
"""

import argparse
import json
from typing import Any

from lockstep import files, paths
from lockstep.config import params_file
from lockstep.config.settings import Settings
from lockstep.data import contract
from lockstep.data.schema import Schema
from lockstep.errors import ConfigError, DataError


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--accept", action="store_true", help="make what training has learned the contract")
    parser.add_argument(
        "--margin", type=float, default=0.5, help="by how much of its width a range grows on either side (0.5)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON for a program")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the contract in force, or write the learned one."""
    if arguments.margin < 0:
        raise ConfigError(f"--margin {arguments.margin:g} is below 0", "0 allows exactly what training has seen")
    rules = accept(arguments.margin) if arguments.accept else in_force()
    if arguments.json:
        print(json.dumps({"path": str(paths.CONTRACT), "accepted": arguments.accept, "columns": rules}, sort_keys=True))
        return 0
    print("\n".join(f"{name}: {_words(rule)}" for name, rule in rules.items()) or "no contract: see --accept")
    if arguments.accept:
        print(f"written to {paths.CONTRACT}: edit it, commit it, and run `dvc repro`")
    return 0


def accept(margin: float) -> dict[str, Any]:
    """Write the contract of the last training's schema; return its rules. Raises DataError: there is no schema."""
    try:
        schema, origin = Schema.from_json(files.read_json(paths.SCHEMA)), files.read_json(paths.SOURCE)
    except FileNotFoundError as error:
        raise DataError(f"{error.filename} not found", "run `dvc repro` first: it learns the schema") from None
    page = contract.from_schema(schema, origin["source"], margin)
    files.write_json(page, paths.CONTRACT)
    return page["columns"]


def in_force() -> dict[str, Any]:
    """Return the rules that the next `dvc repro` holds rows against."""
    params = params_file.load()
    rules = contract.rules(params.data_preprocessing.contract, params.data_ingestion.named)
    return {name: rule.model_dump(exclude_defaults=True, mode="json") for name, rule in rules.items()}


def _words(rule: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in rule.items())


def _short(value: Any) -> str:
    return (
        f"{', '.join(map(str, value[:5]))}{' ...' if len(value) > 5 else ''}" if isinstance(value, list) else str(value)
    )
