"""Ask a server as SageMaker's clients do, through a stand-in for its front, and print what they understood as JSON."""

import http.client
import json
import os
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ENDPOINT = re.compile(r"/endpoints/[\w-]+/invocations")


def front(port):
    """Return a server that hands what is sent to an endpoint to /invocations of a container, as SageMaker does."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept = {name: self.headers[name] for name in ("Content-Type", "Accept") if self.headers[name]}
            container = http.client.HTTPConnection("127.0.0.1", port)
            container.request("POST", "/invocations" if ENDPOINT.fullmatch(self.path) else "/nowhere", body, kept)
            answer = container.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in {"Content-Type": answer.headers["Content-Type"], "Content-Length": len(content)}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def main(address, rows, table):
    """Ask with boto3 in JSON and CSV, and with MLflow's deployment client."""
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": address,
    }
    import boto3
    import pandas as pd
    from mlflow.deployments import get_deploy_client

    runtime = boto3.client("sagemaker-runtime")

    def invoke(media, body):
        answer = runtime.invoke_endpoint(EndpointName="demo", ContentType=media, Accept="application/json", Body=body)
        return json.loads(answer["Body"].read())["predictions"]

    deployed = get_deploy_client("sagemaker:/eu-central-1")
    return {
        "json": invoke("application/json", json.dumps({"instances": rows})),
        "csv": invoke("text/csv", table),
        "deployments": deployed.predict("demo", pd.DataFrame(rows)).get_predictions()[0].tolist(),
    }


if __name__ == "__main__":
    server = front(int(sys.argv[1]))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps(main(f"http://127.0.0.1:{server.server_port}", json.loads(sys.argv[2]), sys.argv[3])))
    server.shutdown()
