"""Ask a server as KServe's client does, and print what it understood as JSON."""

import asyncio
import json
import sys

sys.path.pop(0)  # or this file would be found under the name of the library

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

TYPES = {"FP64": np.float64, "FP32": np.float32, "INT64": np.int64, "BYTES": np.object_}


def asking(name, columns, binary):
    """Return a request with an input for each column."""
    made = []
    for column, (datatype, values) in columns.items():
        array = np.array(values, TYPES[datatype])
        made.append(InferInput(column, list(array.shape), datatype))
        made[-1].set_data_from_numpy(array, binary_data=binary)
    return InferRequest(model_name=name, infer_inputs=made)


def read(answer):
    """Return predictions and probabilities."""
    outputs = {output.name: output.as_numpy().tolist() for output in answer.outputs}
    values = [value.decode() if isinstance(value, bytes) else value for value in outputs["prediction"]]
    return {"predictions": values, "probabilities": outputs.get("probabilities")}


async def main(port, name, columns):
    """Ask in every way, good and bad."""
    address = f"http://127.0.0.1:{port}"
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        found = {
            "states": [
                await client.is_server_live(address),
                await client.is_server_ready(address),
                await client.is_model_ready(address, name),
            ],
            "binary": read(await client.infer(address, asking(name, columns, True), model_name=name)),
            "json": read(await client.infer(address, asking(name, columns, False), model_name=name)),
        }
        try:
            few = dict(list(columns.items())[1:])
            await client.infer(address, asking(name, few, False), model_name=name)
        except httpx.HTTPStatusError as error:
            found["refusal"] = [error.response.status_code, error.response.json()["error"]]
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:3], json.loads(sys.argv[3])))))
