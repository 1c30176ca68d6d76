"""Ask a server as MLflow's scoring client does, and print what it understood as JSON."""

import json
import sys

import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from mlflow.version import VERSION


def main(port, rows):
    """Ask with a frame, with lists, and with parameters."""
    client = ScoringServerClient("127.0.0.1", port)
    client.wait_server_ready(timeout=5)
    frame = pd.DataFrame(rows).astype(object)
    frame = frame.where(frame.notna(), None)
    return {
        "same version": client.get_version() == VERSION,
        "frame": client.invoke(frame)["predictions"],
        "read": client.invoke(frame).get_predictions()[0].tolist(),
        "lists": client.invoke(frame.to_numpy())["predictions"],
        "records": client.invoke(rows)["predictions"],
        "shares": client.invoke(frame, params={"predict_method": "predict_proba"})
        .get_predictions()
        .to_numpy()
        .tolist(),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], json.loads(sys.argv[2]))))
