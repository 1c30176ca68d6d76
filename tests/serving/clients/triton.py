"""Ask a server as Triton's client does, and print what it understood as JSON."""

import json
import sys

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

TYPES = {"FP64": np.float64, "FP32": np.float32, "INT64": np.int64, "BYTES": np.object_}


def tensors(columns, binary):
    """Return an input for each column."""
    made = []
    for name, (datatype, values) in columns.items():
        array = np.array(values, TYPES[datatype]).reshape(-1, 1)
        made.append(InferInput(name, list(array.shape), datatype))
        made[-1].set_data_from_numpy(array, binary_data=binary)
    return made


def read(result):
    """Return predictions and probabilities."""
    answers = result.as_numpy("prediction").tolist()
    shares = result.as_numpy("probabilities")
    return {
        "predictions": [answer.decode() if isinstance(answer, bytes) else answer for answer in answers],
        "probabilities": None if shares is None else shares.tolist(),
        "version": result.get_response()["model_version"],
        "id": result.get_response().get("id"),
    }


def main(port, name, version, columns):
    """Ask in every way, good and bad."""
    client = InferenceServerClient(f"127.0.0.1:{port}")
    asked = [InferRequestedOutput("prediction"), InferRequestedOutput("probabilities", binary_data=False)]
    found = {
        "states": [client.is_server_live(), client.is_server_ready(), client.is_model_ready(name)],
        "extensions": client.get_server_metadata()["extensions"],
        "inputs": [one["name"] for one in client.get_model_metadata(name)["inputs"]],
        "binary": read(client.infer(name, tensors(columns, True), request_id="r1")),
        "json": read(client.infer(name, tensors(columns, False), outputs=asked)),
        "versioned": read(client.infer(name, tensors(columns, True), model_version=version)),
    }
    try:
        client.infer(name, tensors(columns, True)[1:])
    except InferenceServerException as error:
        found["refusal"] = [error.status(), error.message()]
    client.close()
    return found


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:4], json.loads(sys.argv[4]))))
