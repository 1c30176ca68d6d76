"""scripts/smoke against the real app, and against one whose answers are wrong."""

import json
import threading

import pytest
from werkzeug.serving import make_server

from tests import ops

READY = json.dumps({"status": "ready", "model": {"name": "demo", "version": "1"}})
OTHER = json.dumps({"model": {"name": "demo", "version": "2"}, "predictions": [{"id": "a", "prediction": 1}]})


def test_an_app_that_answers_right_passes(app, script):
    done = script("smoke", "--url", app.url + "/", "--version", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ready: demo version 1" in done.stdout
    assert app.asked == ["/readyz", "/openapi.json", "/predict", "/metrics"]


@pytest.mark.parametrize(
    ("path", "status", "text", "said"),
    [
        ("/readyz", 503, "no model", "/readyz answers 503: no model"),
        ("/readyz", 200, "<html>", "/readyz names no model"),
        ("/openapi.json", 404, "", "/openapi.json answers 404"),
        ("/openapi.json", 200, "{}", "has no example for POST /predict"),
        ("/predict", 500, "oh", "/predict answers 500: oh"),
        ("/predict", 401, "", "put one of the app's keys into LOCKSTEP_API_KEYS"),
        ("/predict", 200, "{}", "/predict answers {} to one row"),
        ("/predict", 200, OTHER, "version 2 answers, and 1 is ready"),
        ("/metrics", 500, "", "/metrics answers 500"),
        ("/metrics", 200, "up 1", "/metrics tells of no model"),
    ],
)
def test_a_wrong_answer_fails_with_the_reason(app, script, path, status, text, said):
    app.instead[path] = (status, text)
    done = script("smoke", "--url", app.url, "--within", "0")
    assert done.returncode == 1
    assert said in done.stderr
    assert "hint: " in done.stderr


def test_another_version_fails(app, script):
    done = script("smoke", "--url", app.url, "--version", "7")
    assert done.returncode == 1
    assert "version 1 of demo serves, and not 7" in done.stderr


def test_nobody_there_fails(script):
    done = script("smoke", "--url", "http://127.0.0.1:9", "--within", "0")
    assert done.returncode == 1
    assert "/readyz does not answer" in done.stderr


def test_it_waits_until_the_app_is_ready(app, script):
    left = [(503, "starting"), (503, "starting"), (200, READY)]

    class Starting(dict):
        def __getitem__(self, path):
            return left.pop(0)

        def __contains__(self, path):
            return path == "/readyz" and bool(left)

    app.instead = Starting()
    assert script("smoke", "--url", app.url, "--within", "60").returncode == 0
    assert left == []


def test_no_proxy_stands_between_this_machine_and_itself(app, script):
    done = script("smoke", "--url", app.url, http_proxy="http://127.0.0.1:9", no_proxy="")
    assert done.returncode == 0, done.stderr


def test_a_key_is_sent(app, script):
    script("smoke", "--url", app.url, LOCKSTEP_API_KEYS="first-key-of-all, second-key")
    assert {*app.keys} == {"Bearer first-key-of-all"}


def test_a_service_that_is_not_there_is_named(api, script, tmp_path):
    api.kubeconfig(tmp_path / "kubeconfig")
    done = script("smoke")
    assert done.returncode == 1
    assert "kubectl port-forward: Error from server (NotFound)" in done.stderr


def test_a_dry_run_prints_what_it_would_ask(app, script):
    done = script("smoke", "--dry-run")
    assert done.returncode == 0
    assert "port-forward service/flask-app-service" in done.stdout
    assert "POST http://127.0.0.1:PORT/predict" in done.stdout
    assert app.asked == []


HOST = "models.test"


def outside(api, app, tls):
    """Give the stand-in cluster a load balancer that leads to the app: an Ingress with a host, or a Service."""
    place = {"ingress": [{"hostname": app.url.removeprefix("http://")}]}
    head = {"metadata": {"name": "flask-app", "namespace": "lockstep"}, "status": {"loadBalancer": place}}
    if tls:
        ingress = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"rules": [{"host": HOST}]}}
        api.cluster.put(("networking.k8s.io/v1", "ingresses"), ingress | head)
    else:
        head["metadata"]["name"] = "flask-app-service"
        service = {"apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer"}}
        api.cluster.put(("v1", "services"), service | head)


@pytest.fixture
def secured(app, tmp_path):
    """The app behind TLS with a certificate for the host alone; its address, and the file that trusts it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={HOST}")
    names = ("-addext", f"subjectAltName=DNS:{HOST}", "-keyout", key, "-out", certificate)
    assert ops.run("openssl", *words, *names).returncode == 0
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=(str(certificate), str(key)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}", certificate
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_load_balancer_is_asked_for_its_host_with_tls(api, app, script, secured, tmp_path):
    api.kubeconfig(tmp_path / "kubeconfig")
    address, certificate = secured
    outside(api, app, tls=True)
    found = api.cluster.get(("networking.k8s.io/v1", "ingresses"), "lockstep", "flask-app")
    found["status"]["loadBalancer"]["ingress"][0]["hostname"] = address
    api.cluster.put(("networking.k8s.io/v1", "ingresses"), found)
    done = script("smoke", "--load-balancer", "--within", "5", SSL_CERT_FILE=str(certificate))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"outside: https://{HOST} answers at {address}" in done.stdout
    done = script("smoke", "--load-balancer", "--within", "0")  # a certificate that nobody here trusts
    assert done.returncode == 1
    assert f"the load balancer {address} does not reach the pods as https://{HOST}" in done.stderr
    assert "certificate verify failed" in done.stderr


def test_a_load_balancer_that_does_not_reach_the_pods_is_told_apart(api, app, script, tmp_path):
    """The policy is the first suspect: kubectl's port-forward passes where the network does not."""
    api.kubeconfig(tmp_path / "kubeconfig")
    outside(api, app, tls=False)
    assert script("smoke", "--load-balancer").returncode == 0
    found = api.cluster.get(("v1", "services"), "lockstep", "flask-app-service")
    found["status"]["loadBalancer"]["ingress"][0]["hostname"] = "127.0.0.1:9"
    api.cluster.put(("v1", "services"), found)
    done = script("smoke", "--load-balancer", "--within", "0")
    assert done.returncode == 1
    assert "the load balancer 127.0.0.1:9 does not reach the pods" in done.stderr
    assert "do they hold the VPC's ranges?" in done.stderr


def test_a_load_balancer_without_an_address_is_told_so(api, script, tmp_path):
    api.kubeconfig(tmp_path / "kubeconfig")
    done = script("smoke", "--load-balancer", "--within", "0")
    assert done.returncode == 1
    assert "the load balancer has no address after 0 s" in done.stderr
