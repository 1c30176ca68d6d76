"""The sides of the comparison, each configured as in its documentation: start command, request and response format.

A side accepts rows of names and values and returns the probabilities of every label, from the same fitted pipeline.
Each has two workers, and none logs requests. A side whose name has a second word is a tuned variant.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.serving import environments, floor
from benchmarks.serving.environments import HERE, OWN, ROOT
from benchmarks.serving.models import Model, compact, environment
from lockstep import paths
from lockstep.modeling import serialization

WORKERS = 2
SERVICES = HERE / "services"
Rows = Sequence[Mapping[str, Any]]
Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Launch:
    """What a side's process is made of."""

    command: Sequence[str]
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Side:
    """One server: `launch` prepares it for a model and a port, `encode` writes rows, `decode` reads probabilities."""

    name: str
    title: str
    color: str
    path: str
    launch: Callable[[Model, int], Launch]
    encode: Callable[[Rows], bytes]
    decode: Callable[[Any], Probabilities]

    def read(self, body: bytes) -> Probabilities:
        """Return the probabilities of an answer, rows x labels.

        Raises
        ------
        ValueError, KeyError, TypeError
            It is not an answer of this side.
        """
        return self.decode(json.loads(body))


def _program(name: str, program: str) -> str:
    return str(environments.python(name).with_name(program))


def _foreign(name: str, **more: str) -> dict[str, str]:
    """Return the variables of another side: its own programs first; of ours, only the transformers are found."""
    own = environment()
    path = f"{environments.python(name).parent}{os.pathsep}{own['PATH']}"
    return own | {"PATH": path, "PYTHONPATH": str(ROOT / "src"), "BENCH_WORKERS": str(WORKERS)} | more


def _as_rows(rows: Rows) -> bytes:
    return compact({"rows": rows})


def _array(key: str | None) -> Callable[[Any], Probabilities]:
    return lambda content: np.asarray(content[key] if key else content, dtype=np.float64)


def _launch_lockstep(model: Model, port: int) -> Launch:
    command = [_program(OWN, "python"), "-m", "lockstep", "serve", "--port", str(port), "--workers", str(WORKERS)]
    return Launch(command, model.project, environment(LOCKSTEP_LOG_LEVEL="WARNING"))


def _read_lockstep(content: Any) -> Probabilities:
    """Read the probabilities in the order of the labels, and see that each answer has an id and its likeliest label."""
    answers = content["predictions"]
    for answer in answers:
        chances = answer["probabilities"]
        if not answer["id"] or chances[str(answer["prediction"])] != max(chances.values()):
            raise ValueError(f"{answer} has no id, or does not name its likeliest label")
    return np.asarray([list(answer["probabilities"].values()) for answer in answers])


def _launch_floor(model: Model, port: int) -> Launch:
    return Launch([_program(OWN, "python"), "-m", floor.__name__, str(port), str(WORKERS)], ROOT, environment())


def _launch_mlflow(model: Model, port: int, name: str = "mlflow") -> Launch:
    """Serve the folder that stands in the registry, told to check columns and types, and to answer probabilities."""
    from mlflow.models import infer_signature

    from lockstep.registry.bundle import package_model

    folder, bundle = model.served / name, model.project / paths.MODELS
    shutil.rmtree(folder, ignore_errors=True)
    trusted = serialization.check((bundle / paths.MODEL.name).read_bytes(), paths.MODEL.name)
    package_model(bundle, folder, ["scikit-learn", "skops", "pandas"], sorted(trusted))
    described = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    described["flavors"]["python_function"]["predict_fn"] = "predict_proba"
    described["signature"] = infer_signature(model.frame.head(100), model.expected[:100]).to_dict()
    (folder / "MLmodel").write_text(yaml.safe_dump(described), encoding="utf-8")
    command = [_program(name, "mlflow"), "models", "serve", "--model-uri", str(folder), "--env-manager", "local"]
    listen = ["--host", "127.0.0.1", "--port", str(port), "--workers", str(WORKERS)]
    return Launch([*command, *listen], model.served, _foreign(name))


def _as_split(rows: Rows) -> bytes:
    return compact({"dataframe_split": {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}})


def _launch_bentoml(model: Model, port: int, module: str = "bento_service") -> Launch:
    home = model.served / "bentoml"
    home.mkdir(exist_ok=True)
    command = [_program("bentoml", "bentoml"), "serve", f"{module}:Model", "--working-dir", str(SERVICES)]
    variables = _foreign("bentoml", BENCH_MODEL=str(model.served), BENTOML_HOME=str(home))
    return Launch([*command, "--host", "127.0.0.1", "--port", str(port)], SERVICES, variables)


def _launch_mlserver(model: Model, port: int, **batching: float) -> Launch:
    """Write its settings as its scikit-learn runtime wants them: a DataFrame of one input for each column."""
    folder = model.served / f"mlserver-{len(batching)}"
    folder.mkdir(exist_ok=True)
    server = {"host": "127.0.0.1", "http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
    served = {"uri": str(model.served / "model.joblib"), "content_type": "pd", "extra": {"predict_fn": "predict_proba"}}
    settings = {"name": "model", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": served}
    (folder / "settings.json").write_bytes(compact(server | {"parallel_workers": WORKERS, "debug": False}))
    (folder / "model-settings.json").write_bytes(compact(settings | batching))
    return Launch([_program("mlserver", "mlserver"), "start", "."], folder, _foreign("mlserver"))


def _as_inputs(rows: Rows) -> bytes:
    """Write one input for each column, as the Open Inference Protocol carries a DataFrame."""
    inputs = []
    for name, example in rows[0].items():
        text = {"datatype": "BYTES", "parameters": {"content_type": "str"}}
        kind = text if isinstance(example, str) else {"datatype": "FP64"}
        inputs.append({"name": name, "shape": [len(rows), 1], **kind, "data": [row[name] for row in rows]})
    return compact({"inputs": inputs})


def _read_outputs(content: Any) -> Probabilities:
    (output,) = content["outputs"]
    return np.asarray(output["data"], dtype=np.float64).reshape(output["shape"])


def _launch_fastapi(model: Model, port: int) -> Launch:
    command = [_program("fastapi", "uvicorn"), "fastapi_service:app", "--host", "127.0.0.1", "--port", str(port)]
    quiet = ["--workers", str(WORKERS), "--no-access-log", "--log-level", "warning"]
    return Launch([*command, *quiet], SERVICES, _foreign("fastapi", BENCH_MODEL=str(model.served)))


_mlflow = partial(Side, path="/invocations", encode=_as_split, decode=_array("predictions"))
_bentoml = partial(Side, path="/predict", encode=_as_rows, decode=_array(None))
_mlserver = partial(Side, path="/v2/models/model/infer", encode=_as_inputs, decode=_read_outputs)
_fastapi = partial(Side, path="/predict", encode=_as_rows, decode=_array("probabilities"))
_ours = partial(Side, path="/predict", encode=_as_rows, decode=_read_lockstep)
_tuned_mlflow = partial(_launch_mlflow, name="mlflow-uvloop")
_tuned_bentoml = partial(_launch_bentoml, module="bento_batching_service")
_tuned_mlserver = partial(_launch_mlserver, max_batch_size=32, max_batch_time=0.001)

OURS, FLOOR = "lockstep", "floor"
SIDES = {
    side.name: side
    for side in (
        _ours(OURS, "Lockstep", "#14804a", launch=_launch_lockstep),
        _mlflow("mlflow", "mlflow models serve", "#0b6cb8", launch=_launch_mlflow),
        _mlflow("mlflow-uvloop", "mlflow, with uvloop", "#74b3e3", launch=_tuned_mlflow),
        _bentoml("bentoml", "BentoML", "#b5307f", launch=_launch_bentoml),
        _bentoml("bentoml-batching", "BentoML, batching", "#e29ac4", launch=_tuned_bentoml),
        _mlserver("mlserver", "MLServer", "#6741d9", launch=_launch_mlserver),
        _mlserver("mlserver-batching", "MLServer, batching", "#b5a3ee", launch=_tuned_mlserver),
        _fastapi("fastapi", "FastAPI, DataFrame", "#d9730d", launch=_launch_fastapi),
        _ours(FLOOR, "floor: no model", "#8a8f98", launch=_launch_floor),
    )
}
TUNED = {"mlflow": "mlflow-uvloop", "bentoml": "bentoml-batching", "mlserver": "mlserver-batching"}
