"""Small real models, and a registry in a folder that a test can move, break and slow down."""

import shutil
import threading
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from flask_app.models import model_service
from lockstep import files, paths
from lockstep.config.params import Candidate, Categorical, FeatureEngineering, ModelEvaluation, Text
from lockstep.data import cleaning, frames
from lockstep.data.record import DataRecord, Dropped
from lockstep.drift import profile
from lockstep.errors import RegistryError, TrackingError
from lockstep.evaluation import test_metrics
from lockstep.features.build import build
from lockstep.inference import compiled_cache, model_card
from lockstep.inference.predictor import Predictor, digest
from lockstep.metrics import scores
from lockstep.modeling import catalog, serialization
from lockstep.registry.model_registry import Version
from tests.lockstep import small_evaluation

ROWS = 60
ODD = 'a "b" <i> é__%'
"""A column name that must survive HTML, forms and JSON."""


def _columns():
    random = np.random.default_rng(7)
    place = random.choice(["<1H OCEAN", "INLAND", 'O\'Neill & "Co"'], ROWS)
    nullable = np.where(random.random(ROWS) < 0.2, np.nan, random.normal(10, 2, ROWS).round(2))
    day = pd.date_range("2026-01-01", periods=ROWS).strftime("%Y-%m-%d").to_numpy()
    return {
        "size": random.normal(50, 9, ROWS).round(3),
        ODD: nullable,
        "rooms": random.integers(1, 9, ROWS).astype(float),
        "place": place,
        "day": day,
    }


KINDS = {"size": "numeric", ODD: "numeric", "rooms": "numeric", "place": "categorical", "day": "date"}
TEXTS = [
    "a wonderful warm film",
    "dull and slow, a bad film",
    "good fun, a good cast",
    "bad script and bad acting",
] * 15


def _table(task):
    if task == "text":
        return {"review": TEXTS}, np.array(["negative" if "bad" in text else "positive" for text in TEXTS])
    columns = _columns()
    size = columns["size"]
    if task == "regression":
        return columns, size * 1000 + columns["rooms"] * 7
    bins = [50] if task == "binary" else [45, 54]
    return columns, np.array(["<low>", "middle", "top"])[np.digitize(size, bins)]


SLICE = {"column": "place", "name": "<b>INLAND", "rows": 31, "loss": 0.3, "low": 0.2, "high": 0.4, "rest": 0.1}
EVALUATION = small_evaluation.record(
    ("accuracy", 0.91, 0.88, 0.93),
    slices=[SLICE | {"surely_worse": 0.05}],
    importance=[{"column": "size", "drop": 0.25, "spread": 0.01}],
    references=[{"name": "default LogisticRegression", "verdict": "as good", "difference": -0.001}],
)
SEARCH = {"metric": "accuracy", "best": 0, "trials": [{"estimator": "logistic_regression", "params": {"C": 0.3}}]}
DATA = DataRecord(48, 12, "outcome", "binary", [], Dropped(60))
SOURCE = {"source": "/srv/hunter2/houses.csv", "sha256": "ab" * 32}

TASKS = {"binary": "binary", "multiclass": "multiclass", "regression": "regression", "text": "binary"}


def make_frame(task, odd=ODD, flag=False):
    """Return the few rows that a model is made of, with their outcome, and the kinds of the columns."""
    columns, target = _table(task)
    kinds = {"review": "text"} if task == "text" else KINDS
    columns, kinds = ({odd if name == ODD else name: own for name, own in each.items()} for each in (columns, kinds))
    if flag:
        columns, kinds = columns | {"flag": np.arange(ROWS) % 3 == 0}, kinds | {"flag": "categorical"}
    frame = cleaning.canonical(pd.DataFrame(columns), kinds)
    frame["outcome"] = pd.Series(target, dtype=object if target.dtype.kind == "U" else None)
    return frame, kinds


def make_bundle(task, folder, estimator=None, odd=ODD, unknown="refuse", flag=False):
    """Fit a model on a few rows and write its bundle; `flag` adds a column of true and false."""
    frame, kinds = make_frame(task, odd, flag)
    params = FeatureEngineering(text=Text(min_documents=1), categorical=Categorical(unknown=unknown))
    learned = frames.learn(frame, "outcome", TASKS[task], kinds, params)
    features = build(kinds, params)
    matrix = features.fit_transform(frame)
    name = estimator or ("ridge" if task == "regression" else "logistic_regression")
    model = catalog.make(Candidate(estimator=name), {}, TASKS[task], 0, task == "text")
    fitted = Pipeline([("features", features), ("estimator", model.fit(matrix, frames.target_array(frame, learned)))])
    serialization.save(fitted, folder / paths.MODEL.name)
    files.write_json(learned.to_json(), folder / paths.SCHEMA.name)
    predictor = Predictor.from_pipeline(learned, fitted, frames.rows_of(frame.head(5), learned))
    files.write_json(predictor.smoke(frame.head(5)), folder / paths.SMOKE.name)
    _write_profile(predictor, frame, folder)
    files.write_json(
        model_card.build(learned, model_card.CardFacts(EVALUATION, SEARCH, DATA, SOURCE)),
        folder / paths.CARD.name,
    )
    predictor = Predictor.load(folder)
    compiled_cache.save(
        predictor.scorer, predictor.note, digest(folder), folder / compiled_cache.file_name(digest(folder))
    )
    return folder


def _write_profile(predictor, frame, folder):
    """Write the profile of a model, from the rows it was fitted on."""
    schema, scored = predictor.schema, predictor.score(frame)
    metric = scores.DEFAULT[schema.task]
    params = ModelEvaluation(resamples=100)
    measured = test_metrics.report(scored, schema, params)
    tested = test_metrics.evaluated(frame, scored, schema, metric, measured)
    made = profile.build(schema, tested.rows, tested, params.monitoring, Text().clean)
    profile.write(made, folder / paths.PROFILE.name)


@dataclass
class FolderRegistry:
    """A registry of folders, behind the calls that the app makes."""

    name: str = "demo"
    folders: dict = field(default_factory=dict)
    versions: dict = field(default_factory=dict)
    current: str | None = None
    tried: str | None = None
    fault: Exception | None = None
    answering: threading.Event = field(default_factory=threading.Event)
    downloads: list = field(default_factory=list)
    calls: int = 0

    def __post_init__(self):
        self.answering.set()

    def add(self, version, folder, sha256=None, promote=True):
        self.folders[version] = folder
        sha256 = digest(folder) if sha256 is None else sha256
        self.versions[version] = Version(self.name, version, "run", str(folder), sha256, {})
        if promote:
            self.current = version

    def production(self):
        self.calls += 1
        self.answering.wait()
        if self.fault:
            raise self.fault
        return self.versions[self.current] if self.current else None

    def challenger(self):
        self.answering.wait()
        if self.fault:
            raise self.fault
        return self.versions[self.tried] if self.tried else None

    def get(self, version):
        if version not in self.versions:
            raise RegistryError(f"{self.name} has no version {version}", "look at the history")
        return self.versions[version]

    def download(self, version, to):
        self.downloads.append(version.version)
        shutil.copytree(self.folders[version.version], to)
        return to

    def go_down(self):
        self.fault = TrackingError("https://user:hunter2@mlflow.internal:5000 does not answer", "start it")

    def connect(self):
        return self


def example(app):
    """Return the row that the form shows at first, as JSON."""
    columns = model_service.default(app).require().predictor.schema.columns
    return {column.name: column.example for column in columns}
