"""Bring random odd tables to `lockstep init` and the stages, and compare each model with one of the clean table.

    python -m scripts.gauntlet [--tables 20] [--first 0] [--jobs 2]

A table passes if `init` and the stages end in a model, or `init` asks a question with exit code 2 and takes the answer.
The model must be within 0.02 (R2, ROC AUC, weighted F1) of one that the same estimators give on the clean form of the
same rows, with the columns' roles stated, both measured on the same 2,000 test rows or more: in 95 % of the tables.
Exit code 1 says that a table failed, or that too few models are as good.
"""

import argparse
import contextlib
import importlib
import io
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from lockstep import files, paths, stage
from lockstep.cli import main as lockstep
from lockstep.config import params_file
from scripts import odd_tables
from scripts.odd_tables import Table

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("data_ingestion", "data_preprocessing", "feature_engineering", "model_building", "model_evaluation")
CLOSE, SHARE, LEAST_TEST_ROWS = 0.02, 0.95, 2000
METRIC = {"binary": "roc_auc", "multiclass": "f1_weighted", "regression": "r2"}
QUICK = {
    "hist_gradient_boosting": {"max_iter": 50}, "random_forest": {"n_estimators": 30, "min_samples_leaf": 2},
    "ridge": {"alpha": 1.0}, "logistic_regression": {"C": 1.0, "max_iter": 3000},
}  # fmt: skip
"""Parameters of the estimators, so that a table takes seconds; an estimator without an entry is left out."""
HEAD = f"{'table':>6} {'rows':>5} {'cols':>4} {'task':10} {'form':18} {'init s':>6} {'s':>5}  odd    clean  outcome"


@dataclass(frozen=True)
class Outcome:
    """What became of a table: `fault` is a traceback or a refusal, `question` what `init` asked before its model."""

    seed: int
    table: Table
    fault: str = ""
    question: str = ""
    odd: float = float("nan")
    clean: float = float("nan")
    test_rows: int = 0
    init_s: float = 0.0
    seconds: float = 0.0

    @property
    def close(self) -> bool:
        """Tell whether the model is as good as that of the clean table."""
        return not self.fault and self.odd >= self.clean - CLOSE

    def line(self) -> str:
        """Return the outcome as a line of the table."""
        table = self.table
        form = f"{table.form} {table.encoding} {table.separator!r}" if table.form == "csv" else table.form
        words = self.fault.strip().splitlines()[-1][:110] if self.fault else "" if self.close else "WORSE"
        asked = f"asked: {self.question[:60]}" if self.question else ""
        return (
            f"{self.seed:6} {table.train_rows:5} {len(table.columns):4} {table.task:10} {form:18} {self.init_s:6.1f} "
            f"{self.seconds:5.1f}  {self.odd:6.3f} {self.clean:6.3f} {words}{asked}"
        )


def main(words: Sequence[str]) -> int:
    """Run the tables and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=20, help="how many")
    parser.add_argument("--first", type=int, default=0, help="seed of the first; the others count on")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the projects of tables that fail or are worse")
    options = parser.parse_args(words)
    seeds = range(options.first, options.first + options.tables)
    started, outcomes = time.monotonic(), []
    print(HEAD, flush=True)
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for outcome in pool.imap(partial(run_table, keep=options.keep), seeds):
            outcomes.append(outcome)
            print(outcome.line(), flush=True)
    return summary(outcomes, time.monotonic() - started)


def summary(outcomes: Sequence[Outcome], seconds: float) -> int:
    """Print the counts, and return the exit code."""
    failed = [one for one in outcomes if one.fault]
    modelled = [one for one in outcomes if not one.fault]
    close = sum(one.close for one in modelled)
    asked, few = sum(bool(one.question) for one in outcomes), sum(one.test_rows < LEAST_TEST_ROWS for one in modelled)
    print(
        f"{len(outcomes)} tables in {seconds:.0f} s: {len(failed)} failed, {asked} asked a question, {close} of "
        f"{len(modelled)} models within {CLOSE} of the clean table"
        + (f"; {few} were measured on fewer than {LEAST_TEST_ROWS} rows" if few else "")
    )
    for one in failed:
        print(f"\ntable {one.seed}:\n{one.fault}")
    return int(bool(failed) or bool(few) or close < SHARE * len(modelled))


def run_table(seed: int, keep: Path | None = None) -> Outcome:
    """Return what becomes of one table, in a project of its own."""
    table = odd_tables.make(seed)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), _quiet():
        outcome = _outcome(seed, table, Path(folder))
        if keep and not outcome.close:
            shutil.copytree(folder, keep / str(seed), dirs_exist_ok=True)
    return replace(outcome, seconds=time.monotonic() - started)


@contextlib.contextmanager
def _quiet() -> Any:
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


def _outcome(seed: int, table: Table, folder: Path) -> Outcome:
    paths.EXTERNAL.mkdir(parents=True)
    shutil.copy(ROOT / "dvc.yaml", folder)
    (folder / "features.py").touch()
    odd, clean = table.write_odd(paths.EXTERNAL), table.write_clean(paths.EXTERNAL)
    started, question = time.monotonic(), ""
    try:
        if message := init(odd[0], table):
            question = message
            if message := init(odd[0], table, "--encoding", table.encoding):
                return Outcome(seed, table, fault=message)
        init_s = time.monotonic() - started
        params = quick(yaml.safe_load(paths.PARAMS.read_text(encoding="utf-8")))
        odd_score, rows = score(params, {"source": str(odd[0]), "test_source": str(odd[1])}, table)
        params["data_preprocessing"] |= {"columns": stated(table), "positive": None}
        params["data_ingestion"] = {}
        clean_score, _ = score(params, {"source": str(clean[0]), "test_source": str(clean[1])}, table)
    except Exception:  # noqa: BLE001 - what this script looks for
        return Outcome(seed, table, fault=traceback.format_exc())
    return Outcome(seed, table, "", question, odd_score, clean_score, rows, init_s)


def init(source: Path, table: Table, *more: str) -> str:
    """Run `lockstep init`; return its question if it asks one.

    Raises
    ------
    RuntimeError
        It fails and asks nothing: a question has exit code 2 and a hint.
    """
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = stage.guarded(lambda: lockstep(["init", str(source), "--target", table.target, *more]), "init")
    message = said.getvalue()
    if code not in (0, 2) or (code == 2 and "hint:" not in message):
        raise RuntimeError(f"exit code {code}: {' '.join(message.split())}")
    return message if code else ""


def quick(params: dict[str, Any]) -> dict[str, Any]:
    """Return params with quick candidates and a short evaluation; test rows come from a file of their own."""
    building, evaluation = params["model_building"], params["model_evaluation"]
    named = [one["estimator"] for one in building["candidates"]]
    building["candidates"] = [{"estimator": name, "params": QUICK[name]} for name in named if name in QUICK]
    building |= {"folds": 2, "jobs": 1}
    evaluation |= {"resamples": 100, "report": {"importance_rows": 0, "learning_curve": False, "references": False}}
    params["data_preprocessing"] |= {"split": {"method": "file"}}
    return params


def stated(table: Table) -> dict[str, Any]:
    """Return the roles that a careful person writes."""
    roles = dict.fromkeys(table.roles.values())
    listed = {role: [name for name, assigned in table.roles.items() if assigned == role] for role in roles}
    return {**listed, "other": "ignore"}


def score(params: Mapping[str, Any], source: Mapping[str, str], table: Table) -> tuple[float, int]:
    """Run the stages; return the score on the test rows, and how many these are."""
    params["data_ingestion"].update(source)
    paths.PARAMS.write_text(yaml.safe_dump(dict(params), allow_unicode=True), encoding="utf-8")
    for name in STAGES:
        importlib.import_module(name).main(getattr(params_file.load(), name))
    return files.read_json(paths.METRICS)[METRIC[table.task]], files.read_json(paths.EVALUATION)["rows"]["test"]


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.path.insert(0, str(ROOT / "src"))
    sys.exit(main(sys.argv[1:]))
