import functools
import hashlib
import io
import itertools
import json
import operator
import os
import pickle
import subprocess
import sys
import zipfile

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from lockstep import compat
from lockstep.config.params import Candidate, Categorical, FeatureEngineering, Numeric, Text
from lockstep.data import cleaning
from lockstep.errors import ArtifactError
from lockstep.features.build import TrainFacts, build
from lockstep.modeling import catalog, serialization

COUNT = 48
random = np.random.default_rng(7)
NUMBERS = random.normal(size=(COUNT, 2))
KINDS = {"age": "numeric", "size": "numeric", "town": "categorical", "review": "text", "since": "date"}
ROWS = cleaning.canonical(
    pd.DataFrame(
        {
            "age": [None, *NUMBERS[1:, 0]],
            "size": NUMBERS[:, 1],
            "town": random.choice(["Bonn", "Kiel", "Łódź", "Ulm"], COUNT),
            "review": [" ".join(random.choice(["good", "bad", "film", "été", "cast"], 6)) for _ in range(COUNT)],
            "since": [f"20{10 + place % 9}-01-{1 + place % 28:02}" for place in range(COUNT)],
        }
    ),
    KINDS,
)
TARGETS = {
    "binary": np.asarray(["no", "yes"])[(NUMBERS[:, 1] > 0).astype(int)],
    "multiclass": np.digitize(NUMBERS[:, 1], [-0.5, 0.5]),
    "regression": NUMBERS @ [1.0, 2.0],
}
FEATURES = {
    "standard": (["age", "size"], {}),
    "robust": (["age", "size"], {"numeric": Numeric(impute="mean", scale="robust")}),
    "unscaled": (["age", "size"], {"numeric": Numeric(impute="zero", scale="none")}),
    "categorical": (["town"], {}),
    "rare": (["town", "size"], {"categorical": Categorical(min_frequency=12, max_categories=3)}),
    "text": (["review"], {"text": Text(ngrams=(1, 2, 3))}),
    "unskewed": (["age", "size"], {"numeric": Numeric(indicator=True, transform="power")}),
    "means": (["town"], {"categorical": Categorical(encode="target")}),
    "telling": (["review"], {"text": Text(weighting="naive_bayes", characters=(3,))}),
    "stacked": (["review", "size"], {"text": Text(stack=True)}),
    "sets": (["review", "size"], {"text": Text(sets={"review": " "})}),
    "date": (["since"], {}),
    "mixed": (["age", "town", "since"], {}),
    "mixed-with-text": (list(KINDS), {}),
}
SPARSE = ("categorical", "text", "telling", "mixed-with-text")
SMALL = {
    "random_forest": {"n_estimators": 3},
    "hist_gradient_boosting": {"max_iter": 3, "min_samples_leaf": 2},
    "xgboost": {"n_estimators": 2},
    "lightgbm": {"n_estimators": 2},
}
FEW = {
    **dict.fromkeys(["multinomial_naive_bayes", "complement_naive_bayes"], ("text", "categorical")),
    **dict.fromkeys(["xgboost", "lightgbm", "linear_svm"], ("text", "mixed")),
    **dict.fromkeys(["rbf_svm", "polynomial_svm"], ("mixed", "date")),
}
"""What an estimator is saved with, where not all features suit it, or its saved form is the same for all."""
COMBINATIONS = [
    (task, name, features)
    for task, (name, entry), features in itertools.product(TARGETS, catalog.ESTIMATORS.items(), FEATURES)
    if task in entry.tasks and (entry.sparse or features not in SPARSE) and features in FEW.get(name, FEATURES)
]


@functools.cache
def features_of(name):
    columns, params = FEATURES[name]
    kinds = {column: KINDS[column] for column in columns}
    features = build(kinds, FeatureEngineering(**params), TrainFacts(task="binary"))
    return features, features.fit_transform(ROWS, TARGETS["binary"])


@functools.cache
def fit(task, name, chosen):
    features, matrix = features_of(chosen)
    candidate = Candidate(estimator=name, params=SMALL.get(name, {}))
    estimator = catalog.make(candidate, {}, task, 42, sparse.issparse(matrix))
    return Pipeline([("features", features), ("estimator", estimator.fit(matrix, TARGETS[task]))])


@functools.cache
def some_model():
    return fit("binary", "logistic_regression", "mixed")


def answers(model):
    return model.predict_proba(ROWS) if hasattr(model, "classes_") else model.predict(ROWS)


def nodes(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return list(serialization._nodes(json.loads(archive.read("schema.json"))))


@pytest.mark.parametrize(("task", "name", "features"), COMBINATIONS, ids=map("-".join, COMBINATIONS))
def test_a_model_comes_back_and_answers_bit_for_bit(tmp_path, task, name, features):
    path, model = tmp_path / "model.skops", fit(task, name, features)
    serialization.save(model, path)
    back = serialization.load(path, hashlib.sha256(path.read_bytes()).hexdigest())
    assert answers(back).tobytes() == answers(model).tobytes()


def test_the_allow_list_is_what_the_catalog_is_made_of():
    types, loaders = set(), set()
    for combination in COMBINATIONS:
        for node in nodes(serialization.dumps(fit(*combination))):
            types.add(f"{node['__module__']}.{node['__class__']}")
            loaders.add(node["__loader__"])
    types.add("lockstep.features.derived.DerivedColumns")  # saved in its own test, since it needs a project
    assert types == serialization.ALLOWED_TYPES
    assert loaders == compat.SKOPS_LOADERS


FIT_AGAIN = """
import sys
sys.path[:0] = {path!r}
from lockstep.modeling import serialization
from tests.lockstep.modeling import test_serialization as the
for combination in the.COMBINATIONS[:: int(sys.argv[1])]:
    print(the.hashlib.sha256(serialization.dumps(the.fit(*combination))).hexdigest())
"""


def test_another_process_writes_the_same_bytes():
    step = 3
    code = FIT_AGAIN.format(path=sys.path)
    environment = {"PYTHONHASHSEED": "123", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", code, str(step)], env=environment, capture_output=True, text=True, check=False
    )
    fresh = [fit.__wrapped__(*combination) for combination in COMBINATIONS[::step]]  # a KDTree counts its queries
    own = [hashlib.sha256(serialization.dumps(model)).hexdigest() for model in fresh]
    assert done.stdout.split() == own, done.stderr
    assert {name for _, name, _ in COMBINATIONS[::step]} == set(catalog.ESTIMATORS)


def test_the_bytes_carry_no_clock_and_no_address():
    with zipfile.ZipFile(io.BytesIO(serialization.dumps(some_model()))) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        ids = [
            node["__id__"] for node in serialization._nodes(json.loads(archive.read("schema.json"))) if "__id__" in node
        ]
    assert {member.date_time for member in members} == {(1980, 1, 1, 0, 0, 0)}
    assert names == [*(f"{place:05}.npy" for place in range(len(names) - 1)), "schema.json"]
    assert max(ids) <= len(ids)


def test_saving_what_could_not_be_loaded_is_refused(tmp_path):
    with pytest.raises(
        ArtifactError, match=r"sklearn\.decomposition\._pca\.PCA \(ObjectNode\), which is not on the allow-list"
    ):
        serialization.save(PCA(), tmp_path / "model.skops")
    assert not list(tmp_path.iterdir())


class Canary:
    """Make a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def zipped(members, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def repacked(content, change=lambda tree: tree, method=zipfile.ZIP_STORED):
    """Return a skops file with its tree changed, or its members compressed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    tree = json.loads(members.pop("schema.json"))
    return zipped(members | {"schema.json": json.dumps(change(tree))}, method)


def with_function(canary):
    """Return a skops file that would make the canary if its types were trusted."""
    planted = FunctionTransformer(func=functools.partial(operator.methodcaller("touch"), canary))
    return skops.io.dumps(planted)


def joblib_of(canary):
    buffer = io.BytesIO()
    joblib.dump(Canary(canary), buffer)
    return buffer.getvalue()


def own():
    return serialization.dumps(some_model())


def planted_in_a_field(tree):
    return tree | {
        "content": tree["content"],
        "extra": [{"__class__": "system", "__module__": "os", "__loader__": "FunctionNode"}],
    }


REFUSED = {
    "S11-pickle": (lambda canary: pickle.dumps(Canary(canary)), "is not a skops file"),
    "S11-joblib": (joblib_of, "is not a skops file"),
    "S11-pickle-in-a-zip": (lambda canary: zipped({"data.pkl": pickle.dumps(Canary(canary))}), "is not a skops file"),
    "S12-unlisted-type": (lambda _: skops.io.dumps(PCA()), r"holds sklearn\.decomposition\._pca\.PCA \(ObjectNode\)"),
    "S12-function": (
        lambda _: skops.io.dumps(FunctionTransformer(func=np.sqrt)),
        r"FunctionTransformer \(ObjectNode\)",
    ),
    "S12-bare-function": (lambda _: skops.io.dumps(np.sqrt), r"holds .*sqrt"),
    "S12-operator": (
        lambda _: skops.io.dumps(operator.attrgetter("a")),
        r"holds operator\.attrgetter \(OperatorFuncNode\)",
    ),
    "S12-partial-of-a-method": (with_function, r"not on the allow-list"),
    "S12-method": (lambda _: skops.io.dumps({"call": PCA().fit}), r"\(MethodNode\), which is not on the allow-list"),
    "S12-planted-beside-the-tree": (
        lambda _: repacked(own(), planted_in_a_field),
        r"holds os\.system \(FunctionNode\)",
    ),
    "S12-no-loader": (
        lambda _: repacked(own(), lambda tree: {**tree, "__loader__": "FunctionNode"}),
        r"\(FunctionNode\)",
    ),
    "S12-loader-alone": (
        lambda _: repacked(own(), lambda tree: {**tree, "x": {"__loader__": "DictNode"}}),
        r"holds None\.None",
    ),
    "S18-compressed": (lambda _: repacked(own(), method=zipfile.ZIP_DEFLATED), "is compressed"),
    "other-protocol": (lambda _: repacked(own(), lambda tree: tree | {"protocol": 1}), "another skops protocol than 2"),
    "protocol-as-text": (
        lambda _: repacked(own(), lambda tree: tree | {"protocol": "2"}),
        "another skops protocol than 2",
    ),
    "tree-is-a-list": (lambda _: repacked(own(), lambda tree: [tree]), "another skops protocol than 2"),
    "too-deep": (lambda _: zipped({"schema.json": "[" * 200_000}), "is not a skops file"),
    "no-tree": (lambda _: zipped({"other.json": "{}"}), "is not a skops file"),
    "C12-truncated": (lambda _: own()[:-100], "is not a skops file"),
    "C12-head-only": (lambda _: own()[:100], "is not a skops file"),
    "C12-member-gone": (
        lambda _: zipped({"schema.json": zipfile.ZipFile(io.BytesIO(own())).read("schema.json")}),
        "cannot be loaded: KeyError",
    ),
    "empty": (lambda _: b"", "is not a skops file"),
}


@pytest.mark.parametrize(("make", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_before_anything_runs(tmp_path, make, problem):
    canary, path = tmp_path / "canary", tmp_path / "model.skops"
    path.write_bytes(make(canary))
    with pytest.raises(ArtifactError, match=problem) as refused:
        serialization.load(path)
    assert str(path) in refused.value.problem
    assert refused.value.hint
    assert not canary.exists()


def test_the_canary_sings_where_pickle_is_loaded(tmp_path):
    pickle.loads(pickle.dumps(Canary(tmp_path / "canary"))).close()
    assert (tmp_path / "canary").exists()


def test_damage_inside_is_refused_or_changes_nothing(tmp_path):
    path, content = tmp_path / "model.skops", own()
    expected = answers(some_model()).tobytes()
    for place in np.random.default_rng(3).integers(0, len(content), 60):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :])
        try:
            same = answers(serialization.load(path)).tobytes() == expected
        except ArtifactError:
            continue
        assert same, place


def test_another_digest_is_refused(tmp_path):
    path = tmp_path / "model.skops"
    serialization.save(some_model(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert answers(serialization.load(path, digest)).tobytes() == answers(some_model()).tobytes()
    with pytest.raises(ArtifactError, match=rf"has the digest {digest[:12]}, not 000000000000"):
        serialization.load(path, "0" * 64)


def test_a_missing_model_says_which_command_makes_it(tmp_path):
    with pytest.raises(ArtifactError, match=r"model\.skops not found") as refused:
        serialization.load(tmp_path / "model.skops")
    assert "dvc repro" in refused.value.hint


@pytest.mark.parametrize("target", list(TARGETS.values()), ids=TARGETS)
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
def test_a_matrix_comes_back_as_the_same_bytes(tmp_path, kind, target):
    matrix = kind(np.where(NUMBERS > 0, NUMBERS, 0))
    one, other = tmp_path / "a" / "one.npz", tmp_path / "other.npz"
    serialization.save_matrix(matrix, target, one)
    back, labels = serialization.load_matrix(one)
    assert sparse.issparse(back) == sparse.issparse(matrix)
    assert (back != matrix).sum() == 0
    assert (labels.dtype, labels.tolist()) == (target.dtype, target.tolist())
    serialization.save_matrix(matrix, target, other)
    assert one.read_bytes() == other.read_bytes()
    with zipfile.ZipFile(one) as archive:  # what patch versions of Python differ in, where numpy writes the file
        assert {(entry.create_version, entry.extract_version) for entry in archive.infolist()} == {(20, 20)}
