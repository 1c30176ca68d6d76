"""Measure the cost of the numeric pins: the same fits and scores with and without them.

    python benchmarks/numeric_pins.py [--rounds N] [--json]

Processes of both kinds alternate; each measures the CPU time of every task, the minimum of three repeats. Figures are
medians over rounds. Without the pins, the libraries are loaded before lockstep; both kinds have one thread.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("pinned", "free")
REPEATS = 3
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
CLEARED = ("OPENBLAS_", "NPY_", "ARROW_", "OMP_")
WORDS = 8_000


def main(words: Sequence[str]) -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="processes of each kind (default 5)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--child", choices=KINDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    if arguments.child:
        print(json.dumps(measured(pinned=arguments.child == "pinned")))
        return
    rounds = [{kind: child(kind) for kind in KINDS} for _ in range(arguments.rounds)]
    rows = [
        {"task": task} | {kind: median(each[kind]["seconds"][task] for each in rounds) for kind in KINDS}
        for task in rounds[0]["pinned"]["seconds"]
    ]
    print(json.dumps(rows, indent=2) if arguments.json else table(rows, rounds[0]["free"]["instructions"]))


def child(kind: str) -> dict[str, Any]:
    """Run all tasks in a process of one kind."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(CLEARED)}
    environment = environment | dict.fromkeys(VARIABLES, "1") | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, __file__, "--child", kind]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    print(f"{kind}: {sum(answer['seconds'].values()):.2f} s of CPU", file=sys.stderr, flush=True)
    return answer


def measured(pinned: bool) -> dict[str, Any]:
    """Return the CPU seconds of each task in this process, and the instruction sets that it uses beyond the pins."""
    if pinned:
        import lockstep  # noqa: F401
    import numpy  # noqa: F401
    import pyarrow  # noqa: F401
    import scipy.linalg  # noqa: F401

    from lockstep import numeric_pins

    deviations = numeric_pins.deviations()
    if pinned == bool(deviations):
        sys.exit(f"nothing to compare on this processor: {', '.join(deviations) or 'it has no other instruction sets'}")
    seconds = {name: min(_cpu_s(task) for _ in range(REPEATS)) for name, task in tasks()}
    return {"seconds": seconds, "instructions": deviations}


def _cpu_s(task: Callable[[], Any]) -> float:
    started = process_time()
    task()
    return process_time() - started


def tasks() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield each task by name; what it needs is made before."""
    import numpy as np
    from sklearn.datasets import make_classification
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression, Ridge

    matrix, target = make_classification(20_000, 60, n_informative=30, random_state=0)
    random = np.random.default_rng(0)
    texts = [" ".join(f"w{word}" for word in row) for row in random.zipf(1.2, (4_000, 120)) % WORDS]
    labels = random.integers(0, 2, len(texts))
    logistic, boosting = LogisticRegression(max_iter=500), HistGradientBoostingClassifier(max_iter=50, random_state=0)
    forest, vectorizer = RandomForestClassifier(20, random_state=0), TfidfVectorizer(ngram_range=(1, 2), min_df=2)

    yield "fit ridge, 20,000 x 60", lambda: [Ridge().fit(matrix, target) for _ in range(20)]
    wide = random.normal(size=(3_000, 1_500))
    yield "fit ridge, 3,000 x 1,500", lambda: Ridge().fit(wide, target[:3_000])
    yield "fit logistic regression, 20,000 x 60", lambda: [logistic.fit(matrix, target) for _ in range(5)]
    yield "fit boosted trees, 20,000 x 60", lambda: boosting.fit(matrix, target)
    yield "fit random forest, 5,000 x 60", lambda: forest.fit(matrix[:5_000], target[:5_000])
    yield "fit TF-IDF and logistic, 4,000 texts", lambda: logistic.fit(vectorizer.fit_transform(texts), labels)
    linear = LogisticRegression(max_iter=500).fit(matrix, target)
    yield "score logistic regression, 2,000,000 rows", lambda: [linear.predict_proba(matrix) for _ in range(100)]
    yield "score boosted trees, 20,000 rows", lambda: boosting.predict_proba(matrix)
    yield from serving_tasks()


def serving_tasks() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the way of a request through the predictor, where the pipeline has been run here."""
    from lockstep.inference import predictor
    from lockstep.inference.predictor import Predictor

    folder = ROOT / "models"
    if not (folder / "smoke.json").is_file():
        return
    serving = Predictor.load(folder)
    rows = predictor.reference_rows(serving.schema, predictor.read_json(folder / "smoke.json"))
    yield "serve one row, 20,000 times", lambda: [serving.predict(rows[:1]) for _ in range(20_000)]
    yield f"serve {len(rows)} rows, 2,000 times", lambda: [serving.predict(rows) for _ in range(2_000)]


def table(rows: Sequence[dict[str, Any]], instructions: Sequence[str]) -> str:
    """Return the figures as a Markdown table."""
    lines = [f"| without pins: {', '.join(instructions)} | pinned | without | ratio |", "| --- | ---: | ---: | ---: |"]
    for row in rows:
        ratio = row["pinned"] / row["free"]
        lines.append(f"| {row['task']} | {row['pinned']:.2f} s | {row['free']:.2f} s | {ratio:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
