"""A copy of the capstone project, read without running it: what of it goes into params.yaml, and what cannot.

The project is known from its many copies: stages in folders below src, params.yaml and dvc.yaml, an app.py in
flask_app, runs on DagsHub, and a deployment.yaml. The names that they use stand in `capstone.toml`.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml

from lockstep.autoconfig.choice import Choice
from lockstep.autoconfig.python_facts import FunctionCall, PythonFile, TableColumn, Variable
from lockstep.errors import ConfigError
from lockstep.metrics.scores import METRICS

T = TypeVar("T")
NAMES: dict[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
FOLDERS = ("src", "flask_app", "scripts", "tests")
STAGES = ("data_ingestion", "data_preprocessing", "feature_engineering", "model_building", "model_evaluation")
REGISTRATION = ("model_registration", "register_model")
NOTES = ("*.md", "*.txt", "*.sh", ".github/workflows/*.y*ml")
SMALL = re.compile(r"1 x t[23]a?\.(micro|small)")
TAKEN_OF_TERMS = {"max_features": int, "ngram_range": tuple}
SHARE = 0.25


class Capstone:
    """A copy of the project in a folder: its Python files, its params.yaml, and what could not be taken."""

    def __init__(self, root: Path) -> None:
        self.root, self.untaken = root, list[Choice]()
        self.params = next(self._documents("params.yaml"), {})
        self.used: set[str] = set()
        self.files = list(self._python())
        if not any(file.path.is_relative_to(root / "src") for file in self.files):
            raise ConfigError(
                f"{root} is no copy of the capstone project: it has no Python files in src",
                "give the folder that holds src, flask_app and params.yaml; for data alone: lockstep init FILE",
            )

    def facts(self, source: str) -> dict[str, Any]:
        """Return what the templates are filled with; the data are at a source, by default where the project says."""
        facts = {"source": source or self._source(), **self._columns(), **self._model(), **self._service()}
        for key in _leaves(self.params):
            if key not in self.used:
                self._leave(f"params.yaml: {key}", "no Python file reads it")
        for name in next(self._documents("dvc.yaml"), {}).get("stages") or ():
            if name not in STAGES + REGISTRATION:
                self._leave(f"dvc.yaml: {name}", "the stages are fixed; what comes before them can write the source")
        if any(isinstance(key, str) and key for call in self._calls("s3_operations") for key in call.positional[1:3]):
            self._leave(
                "access keys in the code", "use a profile or a role, and delete the keys in IAM: git keeps them"
            )
        return facts | {"project": self.root.name, "not_taken": self.untaken}

    def _leave(self, what: str, why: str) -> None:
        self.untaken.append(Choice(what, "not taken", why))

    def _python(self) -> Iterator[PythonFile]:
        """Yield the Python files that can be parsed."""
        for path in (path for folder in FOLDERS for path in sorted((self.root / folder).rglob("*.py"))):
            try:
                yield PythonFile(path, self.params, self.used).read()
            except (SyntaxError, ValueError) as error:
                line = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
                self._leave(path.relative_to(self.root).as_posix(), f"it is no valid Python{line}")

    def _documents(self, *patterns: str) -> Iterator[dict[str, Any]]:
        """Yield the mappings of YAML files."""
        for path in (path for pattern in patterns for path in sorted(self.root.glob(pattern))):
            try:
                yield from [each for each in yaml.safe_load_all(path.read_text("utf-8")) if isinstance(each, dict)]
            except (yaml.YAMLError, ValueError) as error:
                mark = getattr(error, "problem_mark", None)
                self._leave(path.name, f"it is no valid YAML{f' in line {mark.line + 1}' if mark else ''}")

    def _calls(self, *names: str, below: str = "") -> list[FunctionCall]:
        """Return the calls of these names, in files whose path holds a text."""
        inside = [file for file in self.files if below in file.path.relative_to(self.root).as_posix()]
        return [call for file in inside for call in file.calls if call.name in names]

    def _first(self, kind: type[T], *names: str, below: str = "", on: Any = None) -> list[T]:
        """Return the first arguments of a kind of these calls."""
        calls = [call for call in self._calls(*names, below=below) if on is None or call.on == on]
        return [call.positional[0] for call in calls if call.positional and isinstance(call.positional[0], kind)]

    def _assigned(self, pattern: str, kind: type[T]) -> dict[str, T]:
        """Return the values of a kind of the names that match."""
        pairs = [pair for file in self.files for pair in file.values.items()]
        return {name: value for name, value in pairs if re.fullmatch(pattern, name) and isinstance(value, kind)}

    def _source(self) -> str:
        """Return the address of the data, or the path of their file."""
        objects = self._first(str, "fetch_file_from_s3")
        for bucket in self._first(object, "s3_operations") if objects else ():
            if isinstance(bucket, Variable):
                raise ConfigError(
                    f"the data are {objects[0]} in a bucket that only the environment names",
                    f'say it: --source "s3://${bucket.name}/{objects[0]}"',
                )
            if isinstance(bucket, str):
                return f"s3://{bucket}/{objects[0]}"
        read = self._first(str, "read_csv", below="ingestion") + self._first(str, "read_csv")
        local = [*(self.root / name for name in read), *sorted((self.root / "notebooks").glob("*.csv"))]
        for address in [*(name for name in read if "://" in name), *(str(path) for path in local if path.is_file())]:
            return address
        raise ConfigError("no file says where the data are", "say it: --source FILE, or an address")

    def _columns(self) -> dict[str, Any]:
        """Return the columns, the labels and the split."""
        mapped = [call.on for call in self._calls("replace", "map", "isin") if isinstance(call.on, TableColumn)]
        target = self._column([*self._assigned("[yY].*|target.*|labels?", TableColumn).values(), *mapped], "labels")
        vectorized = self._calls(*NAMES["vectorizers"], below="src")
        inputs = [
            each for each in self._assigned("[xX](_.*)?|texts?|corpus", TableColumn).values() if each.name != target
        ]
        labels = next(iter(self._first(dict, "replace", "map", below="src", on=TableColumn(target))), {})
        labels = {str(old): str(new) for old, new in labels.items()}
        listed = next(iter(self._first(list, "isin", below="src", on=TableColumn(target))), [])
        dropped = [names for call in self._calls("drop") if isinstance(names := call.named.get("columns"), list)]
        split = next((call.named for call in self._calls("train_test_split", below="src")), {})
        size, seed = split.get("test_size"), split.get("random_state")
        if not isinstance(size, float):
            self._leave(
                "train_test_split: test_size", f"no share stands there; {SHARE}, that of scikit-learn, is written"
            )
        return {
            "target": target,
            "text": self._column(inputs, "texts") if vectorized else "",
            "ignore": sorted({each for names in dropped for each in names if isinstance(each, str)} - {target}),
            "labels": labels,
            "positive": "1" if "1" in labels.values() else None,
            "kept_labels": [labels.get(str(label), str(label)) for label in listed],
            "split": {
                "method": "stratified" if "stratify" in split else "random",
                "test_size": size if isinstance(size, float) else SHARE,
                "seed": seed if isinstance(seed, int) else 42,
            },
            "terms": self._terms(vectorized[0]) if vectorized else {},
        }

    def _column(self, columns: list[TableColumn], what: str) -> str:
        if columns:
            return columns[0].name
        raise ConfigError(
            f"no file says which column holds the {what}, as in y_train = data['sentiment'], X_train = data['review']",
            "write params.yaml from the data: lockstep init FILE --target COLUMN",
        )

    def _terms(self, vectorizer: FunctionCall) -> dict[str, Any]:
        """Return how texts become terms."""
        if vectorizer.name != "TfidfVectorizer":
            self._leave(vectorizer.name, "terms are weighted by TF-IDF")
        for name, value in sorted(vectorizer.named.items()):
            if not isinstance(value, TAKEN_OF_TERMS.get(name, ())):
                self._leave(f"{vectorizer.name}: {name}", "see the settings of feature_engineering.text")
        names = set().union(*(file.names for file in self.files))
        if any("http" in pattern for pattern in self._first(str, "sub", "compile")):
            names.add("remove_urls")
        for why in dict.fromkeys(why for name, why in NAMES["other_cleaning"].items() if name in names):
            self._leave("cleaning of texts", why)
        most, lengths = vectorizer.named.get("max_features"), vectorizer.named.get("ngram_range")
        return {
            "clean": list(dict.fromkeys(step for name, step in NAMES["cleaning"].items() if name in names)),
            "ngrams": list(lengths) if isinstance(lengths, tuple) else [1, 1],
            "min_documents": 1,
            "max_terms": most if isinstance(most, int) else None,
        }

    def _model(self) -> dict[str, Any]:
        """Return the estimators, with the parameters that mean the same here, and what the tests ask of a model."""
        candidates = []
        for call in self._calls(*NAMES["estimators"], below="src"):
            name = NAMES["estimators"][call.name]
            same = {key: call.named[key] for key in NAMES["parameters"].get(name, ()) if key in call.named}
            params = {key: value for key, value in same.items() if isinstance(value, int | float | str)}
            for key in sorted(set(call.named) - set(params) - {"random_state"}):
                self._leave(f"{call.name}: {key}", "model_building.candidates can set it, if it is needed")
            if (candidate := {"estimator": name, "params": params}) not in candidates:
                candidates.append(candidate)
        if not candidates:
            self._leave("the estimator", "no file makes one that is known; logistic_regression stands in its place")
        floors = {name.removeprefix("expected_"): least for name, least in self._assigned("expected_.*", float).items()}
        return {
            "candidates": candidates or [{"estimator": "logistic_regression"}],
            "floors": {name: least for name, least in floors.items() if name in METRICS},
        }

    def _service(self) -> dict[str, Any]:
        """Return what clients, the tracking server and the cluster know."""
        owner, name = (next(iter(self._assigned(f"repo_{each}", str).values()), "") for each in ("owner", "name"))
        for call in self._calls("init"):
            owner, name = call.named.get("repo_owner", owner), call.named.get("repo_name", name)
        for address in self._first(str, "set_tracking_uri"):
            if match := re.search(r"dagshub\.com/([\w.-]+)/([\w.-]+?)\.mlflow", address):
                owner, name = match.groups()
        manifests = list(self._documents("*.y*ml", "k8s/*.y*ml", "deployment/*.y*ml"))
        ports = re.findall(r"'port': (\d+)", str([each for each in manifests if each.get("kind") == "Service"]))
        tokens = [variable.name for variable in self._assigned(".*(token|TOKEN)", Variable).values()]
        notes = [path for mark in NOTES for path in sorted(self.root.glob(mark))]
        said = "\n".join(path.read_text("utf-8", "replace") for path in notes)
        kind, count = re.search(r"--node-type[ =]([\w.]+)", said), re.search(r"--nodes[ =](\d+)", said)
        nodes = f"{count[1] if count else 1} x {kind[1]}" if kind else ""
        return {
            "model_name": next(iter(self._assigned("model_name", str).values()), "my_model"),
            "experiment": next(iter(self._first(str, "set_experiment", below="src")), "lockstep"),
            "dagshub": repository if re.fullmatch(r"[\w.-]+/[\w.-]+", repository := f"{owner}/{name}") else "",
            "token": next((name for name in tokens if name.isidentifier()), ""),
            "port": int(next(iter(ports), 5000)),
            "nodes": nodes,
            "small": bool(SMALL.fullmatch(nodes)),
        }


def _leaves(params: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the dotted names of the values of params.yaml."""
    for name, value in params.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}"
