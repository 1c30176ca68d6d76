"""Compare `lockstep init` and `dvc repro` on public files as found with a plain model on a frame cleaned by hand.

    python -m scripts.real_files [--data DIR] [--serve] [NAME ...]

Both models have the same target, rows and split. With `--serve`, each model answers a sample of its own train rows as
JSON, as a CSV upload and by `lockstep predict`, which must agree. docs/measurements/real-files.md has the table.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from lockstep import files, paths
from lockstep.commands.verify import clean_copy
from lockstep.config import params_file
from lockstep.config.params import Params
from lockstep.data import cleaning
from lockstep.data.sources import read
from lockstep.data.split import split
from lockstep.metrics import scores
from lockstep.metrics.scores import Scored
from scripts import serve_files

ROOT = Path(__file__).resolve().parent.parent
STAGES = "model_evaluation"
MARGIN = 0.01
HEAD = "| file | target | metric | by hand | `init` | difference | least | estimator | answers |"


@dataclass(frozen=True)
class RealFile:
    """A file by its target, the least figure to reach, and how a person cleans it; the frame has the file's rows."""

    target: str
    clean: Callable[[Path], pd.DataFrame]
    least: Mapping[str, float] = field(default_factory=dict)
    model: str = "boosting"


def bengaluru_houses(path: Path) -> pd.DataFrame:
    """Take the middle of ranges, and drop what has another unit than square feet."""
    frame = pd.read_csv(path)
    bounds = frame["total_sqft"].str.split(" - ", expand=True).apply(pd.to_numeric, errors="coerce")
    frame["total_sqft"] = bounds.mean(axis=1).where(frame["total_sqft"].str.fullmatch(r"[\d. -]+"))
    frame["size"] = frame["size"].str.extract(r"(\d+)").astype(float)
    frame["ready"] = (frame["availability"] == "Ready To Move").astype(float)
    return frame.drop(columns=["availability", "society"])


def chnsenticorp_hotel(path: Path) -> pd.DataFrame:
    """Take the reviews as they are."""
    return pd.read_csv(path, encoding="utf-8-sig").assign(review=lambda frame: frame["review"].fillna(""))


def startups(path: Path) -> pd.DataFrame:
    """Read the dates, and leave out names, repeated columns, and when a start-up was closed."""
    frame = pd.read_csv(path)
    for name in ("founded_at", "first_funding_at", "last_funding_at"):
        days = pd.to_datetime(frame[name].str.replace("/", "-"), format="mixed")
        frame[name] = (days - pd.Timestamp("2000-01-01")).dt.days
    names = ["Unnamed: 0", "Unnamed: 6", "id", "object_id", "name", "state_code.1", "zip_code", "city", "closed_at"]
    return frame.drop(columns=names)


def air_quality(path: Path) -> pd.DataFrame:
    """Take -200 for missing, and the hour and the month out of date and time."""
    frame = pd.read_csv(path, sep=";", decimal=",").dropna(how="all").dropna(axis=1, how="all").replace(-200, np.nan)
    frame["hour"] = frame.pop("Time").str[:2].astype(float)
    days = pd.to_datetime(frame.pop("Date"), format="%d/%m/%Y")
    return frame.assign(month=days.dt.month, weekday=days.dt.weekday)


def it_salaries(path: Path) -> pd.DataFrame:
    """Read numbers that have a comma or a word among them, and leave out the moment of the answer."""
    frame = pd.read_csv(path).drop(columns="Timestamp")
    for name in frame.columns:
        if re.search("^(Age|Total|Years|Yearly|Annual|Number|Have you (been|received))", name):
            digits = frame[name].astype(str).str.replace(",", ".").str.extract(r"^(\d+\.?\d*)")[0]
            frame[name] = digits.astype(float)
    return frame[frame[SALARY] < 1e7]


def marketing_data(path: Path) -> pd.DataFrame:
    """Read the income as a number and the day of enrolment as days."""
    frame = pd.read_csv(path, encoding="utf-8-sig").drop(columns="ID")
    frame["income"] = frame.pop(" Income ").str.replace(r"[$,\s]", "", regex=True).astype(float)
    days = pd.to_datetime(frame.pop("Dt_Customer"), format="%m/%d/%y")
    return frame.assign(enrolled=(days - days.min()).dt.days)


def parkinsons(path: Path) -> pd.DataFrame:
    """Leave out the near-copy of the target; the number of the patient is no feature."""
    return pd.read_csv(path).drop(columns=["subject#", "motor_UPDRS"])


def vgsales(path: Path) -> pd.DataFrame:
    """Leave out the parts of the sum, and the rank that follows from it."""
    return pd.read_csv(path).drop(columns=["Rank", "Name", "NA_Sales", "EU_Sales", "JP_Sales", "Other_Sales"])


SALARY = "Yearly brutto salary (without bonus and stocks) in EUR"
FILES = {
    "bengaluru_houses": RealFile("price", bengaluru_houses, {"r2": 0.539}),
    "chnsenticorp_hotel": RealFile("label", chnsenticorp_hotel, {"roc_auc": 0.955, "accuracy": 0.906}, "text"),
    "startups": RealFile("status", startups),
    "air_quality": RealFile("CO_GT", air_quality, {"r2": 0.927}),
    "it_salaries": RealFile(SALARY, it_salaries),
    "marketing_data": RealFile("Response", marketing_data, {"average_precision": 0.567}),
    "parkinsons": RealFile("total_UPDRS", parkinsons),
    "vgsales": RealFile("Global_Sales", vgsales),
}


def main(words: Sequence[str]) -> int:
    """Print a Markdown table, one row a file; return 1 where a figure falls short or answers differ."""
    options = arguments(words)
    os.chdir(ROOT)
    print(HEAD, "| --- " * HEAD.count(" | ") + "| --- |", sep="\n", flush=True)
    good = True
    for name in options.names:
        path = options.data.resolve() / f"{name}.csv.gz"
        if not path.is_file():
            print(f"SKIPPED {name}: {path} is not there", file=sys.stderr)
            continue
        with clean_copy() as copy:
            try:
                row, holds = compared(name, path, copy, options.serve)
            except subprocess.CalledProcessError as failure:
                row, holds = f"| {name} | FAILED: {failure.cmd[0]} {failure.cmd[1]} |", False
        print(row, flush=True)
        good = good and holds
    return 0 if good else 1


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Return where the files are, and which of them to compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder = os.environ.get("LOCKSTEP_REAL_FILES", ROOT.parent / "shared" / "data" / "real")
    parser.add_argument("--data", type=Path, default=Path(folder), metavar="DIR", help="folder with the files")
    parser.add_argument("--serve", action="store_true", help="also compare the ways to ask the model")
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(FILES), help=f"of {', '.join(FILES)}")
    return parser.parse_args(words)


def compared(name: str, path: Path, copy: Path, serve: bool) -> tuple[str, bool]:
    """Run the pipeline on a file in a copy of the project; return its row of the table, and whether it is good."""
    file = FILES[name]
    run(copy, "git", "init", "--quiet")
    run(copy, sys.executable, "-m", "lockstep", "init", str(path), "--target", file.target, "--force")
    run(copy, "dvc", "repro", "--force", "--no-run-cache", *(() if serve else (STAGES,)))
    search, metrics = (files.read_json(copy / path) for path in (paths.SEARCH, paths.METRICS))
    metric, ours = search["metric"], metrics[search["metric"]]
    os.chdir(copy)
    try:
        params = params_file.load()
        train, test = rows_of_split(params)
        by_hand = hand_score(file, file.clean(path), Sides(train, test, params), metric)
    finally:
        os.chdir(ROOT)
    differing = serve_files.differing(copy, path, train) if serve else ""
    reached = {name: metrics[name] - least for name, least in file.least.items()}
    least = ", ".join(f"{name} {metrics[name]:.4f} of {least:g}" for name, least in file.least.items())
    cells = (name, file.target[:30], metric, f"{by_hand:.4f}", f"{ours:.4f}", f"{ours - by_hand:+.4f}", least or "-")
    chosen = search["trials"][search["best"]]["estimator"]
    line = f"| {' | '.join((*cells, chosen, differing or ('equal' if serve else '-')))} |"
    return line, min([ours - by_hand + MARGIN, *reached.values()]) >= 0 and not differing


def run(folder: Path, *command: str) -> None:
    """Run a command in a copy of the project."""
    bin_folder = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": "src"}
    subprocess.run(command, cwd=folder, env=environment, stdout=sys.stderr, check=True)


@dataclass(frozen=True)
class Sides:
    """The positions in the source of the pipeline's train and test rows, and its params."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    params: Params


def hand_score(file: RealFile, frame: pd.DataFrame, sides: Sides, metric: str) -> float:
    """Fit a plain model on the frame cleaned by hand, on the train rows of the pipeline, and score its test rows."""
    labelled, positive = frame.pop(file.target), sides.params.data_preprocessing.positive
    model = plain_model(file, frame, classes=positive is not None)
    model.fit(frame.loc[sides.train], labelled.loc[sides.train])
    truth = labelled.loc[sides.test].to_numpy()
    if positive is None:
        return scores.measure(metric, Scored(truth, model.predict(frame.loc[sides.test])))
    shares, classes = model.predict_proba(frame.loc[sides.test]), list(model.classes_)
    codes = np.searchsorted(classes, truth)
    return scores.measure(metric, Scored(codes, shares.argmax(axis=1), shares, classes.index(positive)))


def rows_of_split(params: Params) -> Iterator[NDArray[np.int64]]:
    """Yield the positions in the source of the pipeline's train rows and of its test rows."""
    preprocessing = params.data_preprocessing
    table = cleaning.clean(
        cleaning.iso_dates(read.read(params.data_ingestion).frame, preprocessing.dates), preprocessing
    )
    marked = replace(table, frame=table.frame.assign(position=table.positions))
    return (side["position"].to_numpy() for side in split(marked, preprocessing.target, preprocessing.split))


def plain_model(file: RealFile, features: pd.DataFrame, classes: bool) -> Any:
    """Return scikit-learn's boosting with one-hot encoded categories, or character n-grams for a text."""
    if file.model == "text":
        terms = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True)
        return make_pipeline(
            make_column_transformer((terms, features.columns[0])), LogisticRegression(C=10, max_iter=1000)
        )
    words = [name for name in features.columns if not pd.api.types.is_numeric_dtype(features[name])]
    encoder = OneHotEncoder(min_frequency=10, handle_unknown="infrequent_if_exist", sparse_output=False)
    boosting = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    columns = make_column_transformer((encoder, words), remainder="passthrough")
    return make_pipeline(columns, boosting(max_iter=200, learning_rate=0.06, random_state=0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
