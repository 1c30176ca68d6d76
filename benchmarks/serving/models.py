"""The models that every side serves: trained, registered and promoted as by a user, and reused between runs."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import lockstep  # noqa: F401 - expected answers are computed on the instruction sets of the server

# isort: split
import joblib
import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from benchmarks.serving.environments import ROOT, STATE
from lockstep import files, numeric_pins, paths
from lockstep.data import frames
from lockstep.data.schema import Schema
from lockstep.modeling import serialization

REVIEWS = ROOT.parent / "shared" / "data" / "imdb.csv.gz"
POOL = 20_000
"""Distinct rows to ask about, where the test rows are numbers; more than an answer cache of usual size holds."""

BATCH_ROWS = 1_000
FORGET = (
    *("MLFLOW_", "DAGSHUB_", "LOCKSTEP_", "CAPSTONE_", "PROMETHEUS_", "AWS_", "BENTOML_", "MLSERVER_", "PYTHON"),
    *numeric_pins.INSTRUCTIONS,  # ours sets them itself, the other sides use what the processor has
)
QUIET = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "NO_PROXY": "*",
}
"""What every process here gets: one thread for numeric libraries, and nothing reported to anyone."""


@dataclass(frozen=True)
class Case:
    """A model to be made: its params.yaml, and what to say of it."""

    name: str
    title: str
    params: Callable[[Path], str]
    batches: int
    """How many batches of 1,000 rows make one measurement."""


@dataclass(frozen=True)
class Model:
    """A model that is Production in a project of its own, with rows to ask about."""

    case: Case
    project: Path
    note: str = ""

    @cached_property
    def schema(self) -> Schema:
        """What the rows look like."""
        return Schema.from_json(files.read_json(self.project / paths.SCHEMA))

    @cached_property
    def pipeline(self) -> Any:
        """The fitted pipeline, whose probabilities are the truth here."""
        return serialization.load(self.project / paths.MODEL)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Distinct rows of the test set, or between its rows where all columns are numbers."""
        kinds = self.schema.kinds
        test = pd.read_parquet(self.project / paths.TEST)[list(kinds)]
        return between(test, POOL) if set(kinds.values()) == {"numeric"} else test.drop_duplicates(ignore_index=True)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The rows as a client writes them in JSON."""
        return self.schema.objects(frames.rows_of(self.frame, self.schema))

    @cached_property
    def expected(self) -> NDArray[np.float64]:
        """What the pipeline answers, rows x labels."""
        answers: NDArray[np.float64] = self.pipeline.predict_proba(self.frame)
        return answers

    @property
    def registered_name(self) -> str:
        """Name in the registry, as which alone a server takes it; that of the case for an unregistered one."""
        record = self.project / paths.REGISTERED
        return str(files.read_json(record)["model"]) if record.is_file() else self.case.name

    @property
    def served(self) -> Path:
        """A folder for what the other sides read."""
        return self.project.parent / f"{self.case.name}-served"


def between(rows: pd.DataFrame, count: int, seed: int = 42) -> pd.DataFrame:
    """Return distinct rows that each lie between two given ones, at five significant digits."""
    draw = np.random.default_rng(seed)
    first, second = draw.integers(len(rows), size=(2, count))
    share, values = draw.random((count, 1)), rows.to_numpy(dtype=np.float64)
    mixed = share * values[first] + (1 - share) * values[second]
    short = [[float(f"{value:.5g}") for value in row] for row in mixed.tolist()]
    return pd.DataFrame(short, columns=rows.columns).drop_duplicates(ignore_index=True)


def prepare(case: Case, reviews: Path | None = None) -> Model:
    """Run the pipeline in a copy of this project where anything has changed, and promote what comes out."""
    project = STATE / "projects" / case.name
    source, note = (reviews, "") if reviews and reviews.is_file() else (STATE / "stand-in.csv", STAND_IN_NOTE)
    if case is not REVIEWS_CASE:
        note = ""
    elif note:
        print(f"NOTE: {reviews} is not there; {note}", file=sys.stderr, flush=True)
        write_stand_in(source)
    _refresh(project)
    if case is REVIEWS_CASE:
        _link(source, project / paths.EXTERNAL / source.name)
    (project / paths.PARAMS).write_text(case.params(source), encoding="utf-8")
    for words in (["-m", "dvc", "repro", "--quiet"], ["-m", "lockstep", "promote"]):
        _run([sys.executable, *words], project)
    model = Model(case, project, note)
    model.served.mkdir(exist_ok=True)
    joblib.dump(model.pipeline, model.served / "model.joblib")
    shutil.copyfile(project / paths.SCHEMA, model.served / paths.SCHEMA.name)
    return model


def environment(**more: str) -> dict[str, str]:
    """Return an environment without this machine's settings, in which our own code is found."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(FORGET)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return environment | QUIET | {"PATH": path, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"} | more


def _refresh(project: Path) -> None:
    """Bring the tracked files of this project into the copy, but not what a pipeline writes."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    written = (str(paths.LOCK), str(paths.PARAMS), "reports/")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(written):
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, project / name)
    if not (project / ".git").is_dir():
        _run(["git", "init", "--quiet"], project)


def _link(source: Path, link: Path) -> None:
    for left in (*link.parent.glob("*.csv"), *link.parent.glob("*.csv.gz")):
        left.unlink()
    link.symlink_to(source.resolve())


def _run(command: list[str], project: Path) -> None:
    done = subprocess.run(command, cwd=project, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed in {project}:\n{done.stdout}{done.stderr}")


def _default(source: Path) -> str:
    return (ROOT / paths.EXAMPLES / "breast-cancer.yaml").read_text(encoding="utf-8")


def _forest(source: Path) -> str:
    content = yaml.safe_load(_default(source))
    content["model_building"]["candidates"] = [{"estimator": "random_forest", "params": {"n_estimators": 100}}]
    content["register_model"]["model_name"] = "forest"
    return yaml.safe_dump(content, sort_keys=False)


def _reviews(source: Path) -> str:
    content = yaml.safe_load((ROOT / paths.EXAMPLES / "sentiment.yaml").read_text(encoding="utf-8"))
    content["data_ingestion"]["source"] = f"{paths.EXTERNAL}/{source.name}"
    return yaml.safe_dump(content, sort_keys=False)


STAND_IN_NOTE = "a stand-in of 3,000 made-up reviews is served instead, so its figures are not those of real reviews"
REVIEWS_CASE = Case("reviews", "film reviews: 1- and 2-grams, logistic regression", _reviews, batches=12)
CASES = {
    case.name: case
    for case in (
        Case("tabular", "30 numeric columns: logistic regression", _default, batches=96),
        REVIEWS_CASE,
        Case("forest", "30 numeric columns: forest of 100 trees", _forest, batches=48),
    )
}


def write_stand_in(path: Path, rows: int = 3_000, words: int = 180) -> None:
    """Write made-up reviews: words of a long-tailed vocabulary, and a few that give the sentiment away."""
    draw = random.Random(42)
    vocabulary = ["".join(draw.choices("abcdefghijklmnoprstuvwy", k=draw.randint(2, 9))) for _ in range(20_000)]
    weights = [1 / rank for rank in range(1, len(vocabulary) + 1)]
    signs = {"positive": ["wonderful", "moving", "brilliant"], "negative": ["dull", "awful", "wooden"]}

    def reviews() -> Iterator[tuple[str, str]]:
        for number in range(rows):
            sentiment = ("positive", "negative")[number % 2]
            plain = draw.choices(vocabulary, weights, k=words - 4)
            yield " ".join(draw.sample([*plain, *draw.choices(signs[sentiment], k=4)], words)), sentiment

    path.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic(path) as partial:
        pd.DataFrame(reviews(), columns=["review", "sentiment"]).to_csv(partial, index=False)


def compact(content: Any) -> bytes:
    """Return JSON without spaces, as most clients send it."""
    return json.dumps(content, separators=(",", ":")).encode()
