"""Attack a project with wrong labels and print what the loop makes of each attack.

    python -m scripts.label_attacks [--rows N] [ATTACK ...]

Made-up messages train a model that becomes Production; then labels come, by author and day, and `lockstep retrain`
runs. The output is the table of docs/measurements/labels.md. Each attack runs twice: as it comes, and after a person
accepted all labels, so that the gate stands alone.
"""

import argparse
import csv
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lockstep import files, paths
from lockstep.commands.verify import clean_copy

# isort: split
import numpy as np
import pandas as pd

from lockstep.inference.predictor import Predictor
from lockstep.prediction_log.database import Store
from lockstep.prediction_log.records import Answer, Label

DAY_US = 86_400_000_000
SPAM, HAM = "spam", "ham"
SPAM_SHARE = 0.15
NOISE = 0.023  # The standard error of a recall of 0.8 on the 300 spam messages among 2,000.
HEAD = ("attack", "labels", "contradict", "as it comes", "if a person accepts all", "spam recall", "accuracy")


@dataclass(frozen=True)
class Example:
    """A label: the message, what its author says, who that is, how many days ago, and what is true."""

    text: str
    label: str
    author: str
    days_ago: int = 0


class Messages:
    """Made-up messages: common words, and words that one of the two kinds has more often."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        words = random.Random(7)
        spelled = ["".join(words.choices("abcdefghiklmnoprstuvw", k=words.randint(3, 8))) for _ in range(900)]
        self.common, self.spam, self.ham, self.new = spelled[:400], spelled[400:520], spelled[520:700], spelled[700:]

    def one(self, kind: str, new: bool = False) -> str:
        """Return a message; with `new` words in place of those that the kind had so far."""
        special = self.new if new and kind == SPAM else self.spam if kind == SPAM else self.ham
        words = self.draw.choices(self.common, k=self.draw.randint(6, 14)) + self.draw.choices(special, k=2)
        words += self.draw.choices(self.ham if kind == SPAM else self.spam, k=self.draw.random() < 0.35)
        self.draw.shuffle(words)
        return " ".join(words)

    def kind(self) -> str:
        """Return spam or ham by chance."""
        return SPAM if self.draw.random() < SPAM_SHARE else HAM

    def honest(self, count: int, author: str, days_ago: int = 0) -> Iterator[Example]:
        """Yield messages with their true label."""
        for kind in (self.kind() for _ in range(count)):
            yield Example(self.one(kind), kind, author, days_ago)


def one_author(messages: Messages) -> list[Example]:
    """600 spam messages that one client calls ham."""
    return [Example(messages.one(SPAM), HAM, "key-a") for _ in range(600)]


def flips(messages: Messages) -> list[Example]:
    """600 labels of which one in twenty is flipped."""
    return [flipped(example) if messages.draw.random() < 0.05 else example for example in messages.honest(600, "key-a")]


def one_class(messages: Messages) -> list[Example]:
    """1,500 labels that are right for ham, and call all spam ham."""
    return [flipped(example) if example.label == SPAM else example for example in messages.honest(1500, "key-a")]


def slow(messages: Messages) -> list[Example]:
    """Ten days of 50 spam messages called ham among 200 honest labels of the same client."""
    wrong = [Example(messages.one(SPAM), HAM, "key-a", day) for day in range(10) for _ in range(50)]
    return wrong + [example for day in range(10) for example in messages.honest(200, "key-a", day)]


def duplicates(messages: Messages) -> list[Example]:
    """Five spam messages, each called ham 200 times."""
    return [Example(text, HAM, "key-a") for text in (messages.one(SPAM) for _ in range(5)) for _ in range(200)]


def hijacked(messages: Messages) -> list[Example]:
    """A client whose 2,000 labels of ten days were honest, and whose 600 of today are not."""
    honest = [example for day in range(1, 11) for example in messages.honest(200, "key-a", day)]
    return honest + [Example(messages.one(SPAM), HAM, "key-a") for _ in range(600)]


def new_words(messages: Messages) -> list[Example]:
    """No attack: 600 honest labels, among whose spam are words that no train row has."""
    kinds = [messages.kind() for _ in range(600)]
    return [Example(messages.one(kind, new=True), kind, "key-a") for kind in kinds]


ATTACKS: Mapping[str, Callable[[Messages], list[Example]]] = {
    attack.__name__: attack for attack in (one_author, flips, one_class, slow, duplicates, hijacked, new_words)
}


def flipped(example: Example) -> Example:
    """Return a label with the other answer."""
    return Example(example.text, HAM if example.label == SPAM else SPAM, example.author, example.days_ago)


def main(words: Sequence[str]) -> int:
    """Print a Markdown table, a row an attack; exit with 1 if Production got worse, or honest labels were refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attacks", nargs="*", help="those to run (default: all)")
    parser.add_argument("--rows", type=int, default=3000, help="messages that train the first model")
    options = parser.parse_args(words)
    if unknown := set(options.attacks) - ATTACKS.keys():
        parser.error(f"no attack is called {min(unknown)!r}; there are {', '.join(ATTACKS)}")
    print(f"| {' | '.join(HEAD)} |", f"|{' --- |' * len(HEAD)}", sep="\n", flush=True)
    failed = False
    with trained(options.rows) as project:
        for name in options.attacks or ATTACKS:
            cells, harmed = attacked(project, name)
            failed |= harmed
            print(f"| {' | '.join(cells)} |", flush=True)
    return int(failed)


@contextmanager
def trained(rows: int) -> Iterator[Path]:
    """Yield a project with a model of made-up messages in Production."""
    messages = Messages(1)
    with clean_copy() as copy:
        table = [(kind, messages.one(kind)) for kind in (messages.kind() for _ in range(rows))]
        with (copy / "messages.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("kind", "text"), *table])
        run(copy, "git", "init", "--quiet")
        run(copy, sys.executable, "-m", "lockstep", "init", "messages.csv", "--target", "kind", "--force")
        run(copy, "dvc", "repro")
        run(copy, sys.executable, "-m", "lockstep", "promote", "--reason", "the first")
        yield copy


def attacked(project: Path, name: str) -> tuple[list[str], bool]:
    """Return a row of the table, and whether an attack made Production worse, or honest labels were refused."""
    labels = ATTACKS[name](Messages(2))
    outcomes, figures = [], []
    for accepts in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "project")
            shutil.copytree(project, copy, symlinks=True)
            before = measured(copy)
            share = write(copy, labels)
            if accepts:
                for author in sorted({example.author for example in labels}):
                    run(copy, sys.executable, "-m", "lockstep", "labels", "accept", author, "--reason", "a trial")
            job = json.loads(run(copy, sys.executable, "-m", "lockstep", "retrain", "--json"))
            outcomes.append(short(job["outcome"]))
            figures.append((before, measured(copy) if job["state"] == "promoted" else before))
    recall, accuracy = (" / ".join(f"{was[at]:.3f} -> {now[at]:.3f}" for was, now in figures) for at in (0, 1))
    cells = [name.replace("_", " "), f"{len(labels):,}", f"{share:.0%}", *outcomes, recall, accuracy]
    if name == new_words.__name__:
        return cells, "is Production, in place" not in outcomes[1]
    return cells, any(now[at] < was[at] - NOISE for was, now in figures for at in (0, 1))


def short(outcome: str) -> str:
    """Return the outcome of a retraining, of a refusal with the names of its checks in place of their figures."""
    if "is refused" not in outcome:
        return outcome
    checks = {"against the champion": "champion", "test rows of the source": "source", "slices are worse": "slices"}
    named = ", ".join(name for words, name in checks.items() if words in outcome)
    held = re.search(r"\d+ labels wait", outcome)
    return f"refused by the gate ({named})" + (f"; {held[0]}" if held else "")


def write(project: Path, labels: Sequence[Example]) -> float:
    """Log an answer of Production for each message and the label that came; return the share that contradicts."""
    predictor = Predictor.load(project / paths.MODELS)
    answers = predictor.predict([(example.text,) for example in labels]).values
    now = time.time_ns() // 1000
    name = files.read_json(project / paths.REGISTERED)["model"]
    records: list[Answer | Label] = []
    for at, (example, answer) in enumerate(zip(labels, answers, strict=True)):
        at_us = now - example.days_ago * DAY_US - (len(labels) - at) * 1000
        records.append(Answer(at_us, name, "1", "production", "", 500, [f"id{at}"], [[example.text]], [answer], None))
        records.append(Label(at_us + 1, f"e{at}", f"id{at}", example.label, "api", author=example.author))
    with closing(Store.open(f"sqlite:///{project / '.lockstep' / 'lockstep.db'}")) as store:
        store.add(records)
    return float(np.mean([example.label != answer for example, answer in zip(labels, answers, strict=True)]))


def measured(project: Path) -> tuple[float, float]:
    """Return spam recall and accuracy of the model in models/ on 2,000 other messages."""
    messages = Messages(3)
    kinds = [messages.kind() for _ in range(2000)]
    texts = [(messages.one(kind),) for kind in kinds]
    answers = pd.Series(Predictor.load(project / paths.MODELS).predict(texts).values)
    right, spam = answers == pd.Series(kinds), pd.Series(kinds) == SPAM
    return float(right[spam].mean()), float(right.mean())


def run(folder: Path, *command: str) -> str:
    """Run a command in a project and return its output.

    Raises SystemExit: it failed.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(folder / "src"), "LOCKSTEP_LOG_LEVEL": "WARNING"}
    process = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{process.stdout}{process.stderr}")
    return process.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
