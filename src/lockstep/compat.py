"""The private names of other libraries: whatever a minor version may change without notice is used through here.

Libraries are imported inside functions, so that nobody loads what he does not use. `setup.py` holds a ceiling for each
of these packages, and tests/lockstep/test_compat.py fails where a new version changes one of the names: read what has
changed, mend it here, and raise the ceiling.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from prometheus_client import Histogram
    from prometheus_client.metrics import MetricWrapperBase
    from prometheus_client.mmap_dict import MmapedDict
    from requests import Response

# Methods of `granian.server.mp.MPServer` that `lockstep.server.supervisor` overrides or calls, by their signatures.
GRANIAN_HOOKS = {
    "signal_handler_interrupt": "(self, *args, **kwargs)",
    "signal_handler_reload": "(self, *args, **kwargs)",
    "_spawn_workers": "(self, spawn_target, target_loader)",
    "_spawn_worker": "(self, idx, target, callback_loader) -> granian.server.mp.WorkerProcess",
    "_serve": "(self, spawn_target, target_loader)",
    "_serve_loop": "(self, spawn_target, target_loader)",
    "_stop_workers": "(self)",
}

# Attributes of an `MPServer` that the supervisor reads or sets.
GRANIAN_STATE = ("wrks", "interrupt_signal", "interrupt_children", "main_loop_interrupt", "workers_kill_timeout")
# Node classes of skops that a saved model may name.
SKOPS_LOADERS = frozenset(
    """
    DTypeNode DictNode JsonNode ListNode LossNode NdArrayNode ObjectNode RandomGeneratorNode SliceNode TreeNode
    TupleNode TypeNode
    """.split()  # noqa: SIM905
)

# Classes of numpy and scikit-learn that a saved model may name, by the modules that define them, private ones too.
SAVED_TYPES = {
    "numpy": "dtype float64 int64 ndarray uint64",
    "numpy.random._generator": "Generator",
    "sklearn._loss._loss": "CyHalfBinomialLoss CyHalfMultinomialLoss CyHalfSquaredError",
    "sklearn._loss.link": "IdentityLink Interval LogitLink MultinomialLogit",
    "sklearn._loss.loss": "HalfBinomialLoss HalfMultinomialLoss HalfSquaredError",
    "sklearn.compose._column_transformer": "ColumnTransformer",
    "sklearn.ensemble._forest": "RandomForestClassifier RandomForestRegressor",
    "sklearn.ensemble._hist_gradient_boosting.binning": "_BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting": (
        "HistGradientBoostingClassifier HistGradientBoostingRegressor"
    ),
    "sklearn.ensemble._hist_gradient_boosting.predictor": "TreePredictor",
    "sklearn.impute._base": "SimpleImputer",
    "sklearn.linear_model._logistic": "LogisticRegression",
    "sklearn.linear_model._ridge": "Ridge",
    "sklearn.metrics._dist_metrics": "EuclideanDistance64",
    "sklearn.naive_bayes": "ComplementNB GaussianNB MultinomialNB",
    "sklearn.neighbors._classification": "KNeighborsClassifier",
    "sklearn.neighbors._kd_tree": "KDTree",
    "sklearn.neighbors._regression": "KNeighborsRegressor",
    "sklearn.pipeline": "Pipeline",
    "sklearn.preprocessing._data": "RobustScaler StandardScaler",
    "sklearn.preprocessing._encoders": "OneHotEncoder",
    "sklearn.preprocessing._label": "LabelEncoder",
    "sklearn.tree._classes": "DecisionTreeClassifier DecisionTreeRegressor",
    "sklearn.tree._tree": "Tree",
}


def stage_transition(client: "MlflowClient") -> Callable[..., Any]:
    """Return the call that moves a version to a stage, and nothing else.

    The client's own method fetches the model first, and then a missing model looks like a server with stages.
    """
    return client._get_registry_client().transition_model_version_stage


def create_mlflow_tables(database_uri: str) -> None:
    """Create the tables of an empty MLflow database, which the first client would else do in sight of the others."""
    from mlflow.store.db.utils import _safe_initialize_tables, create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(database_uri)
    _safe_initialize_tables(engine)
    engine.dispose()


def mlflow_post(server_uri: str, path: str, body: Mapping[str, Any], timeout_s: int) -> "Response":
    """Send one request with MLflow's credentials and without its many retries."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    credentials = get_default_host_creds(server_uri)
    options: dict[str, Any] = {"json": dict(body), "max_retries": 1, "timeout": timeout_s, "raise_on_status": False}
    return http_request(credentials, path, "POST", **options)


def observe_many(histogram: "Histogram", total: float, counts: Mapping[int, int]) -> None:
    """Add many observations to a histogram at once: their sum, and their number by index of the bucket."""
    histogram._sum.inc(total)
    for index, count in counts.items():
        histogram._buckets[index].inc(count)


def describe_metric(metric: "MetricWrapperBase") -> tuple[str, str, Sequence[str], str]:
    """Return the exposed name, the type, the labels and the help of a metric."""
    name = f"{metric._name}_total" if metric._type == "counter" else metric._name
    return str(name), str(metric._type), metric._labelnames, metric._documentation


def replace_metric_files(kind: type["MmapedDict"]) -> None:
    """Let processes that share metrics map their files by another class from now on."""
    from prometheus_client import values

    values.MmapedDict = kind  # type: ignore[misc]


def worker_death() -> type[Exception]:
    """Return the exception by which joblib says that a worker process was killed."""
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    return TerminatedWorkerError
