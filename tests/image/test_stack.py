"""compose.yaml on a real engine: every service healthy, and a prediction that arrives where it should."""

import json
import os
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
import uuid

import pytest
import yaml

from tests.image import engine
from tests.image.engine import docker
from tests.serving.load import ask
from tests.serving.real import free_port, wait_for

pytestmark = pytest.mark.image
PASSWORD = "onlyForThisTest1"
STANDINS = {"postgres": "postgres", "prometheus": "prometheus", "alertmanager": "alertmanager"}
WITHIN_S = 240


@pytest.fixture(scope="module")
def services(project):
    return yaml.safe_load(project.read("compose.yaml"))["services"]


@pytest.fixture(scope="module")
def there(services, python_image):
    """The services whose images are here, or can be pulled, or stood in for; what is not is said."""
    found = ["app", "mlflow"]
    for name in services.keys() - set(found):
        image = services[name]["image"]
        if not engine.known(image) and docker("pull", image, ok=False).returncode:
            if name not in STANDINS:
                print(f"\nimage: NOT tested here: {name}, since {image} cannot be pulled and nothing stands in for it")
                continue
            engine.make_standin(STANDINS[name], image)
            print(f"\nimage: {image} cannot be pulled, Debian's package stands in for it")
        found.append(name)
    return sorted(found)


class Stack:
    """The services, on ports and with volumes of their own."""

    def __init__(self, project, image, names):
        self.project, self.names = project, names
        self.prefix = f"lockstep{uuid.uuid4().hex[:6]}"
        self.ports = {name: free_port() for name in ("APP", "MLFLOW", "PROMETHEUS", "ALERTMANAGER", "GRAFANA")}
        secrets = {"POSTGRES_PASSWORD": PASSWORD, "GRAFANA_PASSWORD": PASSWORD, "LOCKSTEP_ADMIN_TOKEN": PASSWORD}
        self.environment = os.environ | {"COMPOSE_PROJECT_NAME": self.prefix, "IMAGE": image}
        self.environment |= {"MLFLOW_IMAGE": "lockstep-test/mlflow:build", **secrets}
        self.environment |= {f"{name}_PORT": str(port) for name, port in self.ports.items()}

    def run(self, *words):
        command = [self.project.root / "scripts/compose", *words]
        done = subprocess.run(
            command, cwd=self.project.root, env=self.environment, capture_output=True, text=True, timeout=1200
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def up(self):
        self.run("up", "--detach", "--no-build", *self.names)
        for name in self.names:
            wait_for(lambda name=name: self.health(name) == "healthy", WITHIN_S, 0.5)

    def container(self, name):
        return self.run("ps", "--quiet", name).strip()

    def health(self, name):
        return engine.inspect(self.container(name))["State"]["Health"]["Status"]

    def sql(self, text):
        words = ("psql", "-U", "lockstep", "-d", "predictions", "-tAc", text)
        return docker("exec", self.container("postgres"), *words).strip()

    def prometheus(self, query):
        """Return the value of a query, or None while there is none."""
        address = f"http://127.0.0.1:{self.ports['PROMETHEUS']}/api/v1/query?query={urllib.parse.quote(query)}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            found = json.load(answer)["data"]["result"]
        return float(found[0]["value"][1]) if found else None


@pytest.fixture(scope="module")
def stack(project, image, there, python_image):
    if not shutil.which("docker-compose") and docker("compose", "version", ok=False).returncode:
        pytest.skip("neither docker compose nor docker-compose is installed: apt-get install docker-compose")
    file = str(project.root / "compose/mlflow.Dockerfile")
    docker(
        *("build", "--network", "host", "--build-arg", f"PYTHON_IMAGE={python_image}", "--file", file),
        *("--tag", "lockstep-test/mlflow:build", str(project.root)),
    )
    made = Stack(project, image, there)
    try:
        made.up()
        yield made
    finally:
        made.run("down", "--volumes", "--timeout", "20")


def predict(stack, rows):
    status, _, content = ask(stack.ports["APP"], "POST", "/predict", {"rows": rows})
    assert status == 200, content
    return content


def test_every_service_is_healthy(stack):
    assert {name: stack.health(name) for name in stack.names} == dict.fromkeys(stack.names, "healthy")
    for name in set(stack.names) - {"grafana"}:
        state = engine.inspect(stack.container(name))
        assert state["HostConfig"]["ReadonlyRootfs"], name
        assert state["HostConfig"]["CapDrop"] == ["ALL"], name
        assert state["RestartCount"] == 0, name


def test_only_this_host_reaches_a_port(stack):
    for name in stack.names:
        for bound in (engine.inspect(stack.container(name))["HostConfig"]["PortBindings"] or {}).values():
            assert [one["HostIp"] for one in bound] == ["127.0.0.1"], name


def test_a_prediction_shows_up_in_postgresql_and_in_prometheus(stack, rows, written):
    content = predict(stack, rows[:20])
    assert [one["prediction"] for one in content["predictions"]] == [one["prediction"] for one in written[:20]]
    wanted = {one["id"] for one in content["predictions"]}
    wait_for(lambda: wanted <= set(stack.sql("SELECT id FROM predictions").split()), 60, 0.5)
    wait_for(lambda: stack.prometheus("sum(model_prediction_count_total)") == 20, 90, 1)
    assert stack.prometheus('up{job="lockstep"}') == 1
    assert stack.prometheus("prediction_log_up") == 1


def test_prometheus_has_the_rules_and_knows_the_alertmanager(stack):
    def asked(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{stack.ports['PROMETHEUS']}/api/v1/{path}", timeout=10) as got:
            return json.load(got)["data"]

    named = {rule["name"] for group in asked("rules")["groups"] for rule in group["rules"]}
    assert {"LockstepDown", "LockstepDriftStays"} <= named
    wait_for(lambda: len(asked("alertmanagers")["activeAlertmanagers"]) == 1, 60, 1)


def test_a_promotion_on_the_stack_s_mlflow_is_followed(stack, project, rows):
    address = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{stack.ports['MLFLOW']}"}
    project.settings.update(address)
    try:
        project.run("lockstep", "promote", "--reason", "the stack is tried")
    finally:
        project.settings.clear()
    wait_for(lambda: ask(stack.ports["APP"], "GET", "/health")[2]["status"] == "ok", 60, 0.5)
    assert predict(stack, rows[:1])["model"]["version"] == "1"


COUNTED = {"predictions": "predictions", "mlflow": "model_versions"}


def counts(stack):
    """Return how many rows a table of each database has, and the files of the artifacts."""
    words = ("exec", "-T", "postgres", "psql", "-U", "lockstep", "-tAc")
    rows = {name: int(stack.run(*words, f"SELECT count(*) FROM {table}", name)) for name, table in COUNTED.items()}
    return rows, sorted(stack.run("exec", "-T", "mlflow", "find", "/var/lib/mlflow", "-type", "f").split())


def test_a_backup_brings_the_data_back(stack, project, rows, tmp_path):
    """As docs/image.md says it, after tables and artifacts were lost."""

    def backup(*words):
        command = [project.root / "scripts/backup", tmp_path / "saved", "--stack", *words]
        done = subprocess.run(command, env=stack.environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr

    stack.run("stop", "--timeout", "40", "app")
    before = counts(stack)
    assert all(before[0].values())
    assert before[1]
    backup()
    stack.sql("TRUNCATE predictions CASCADE")
    stack.run("exec", "-T", "postgres", "psql", "-U", "lockstep", "-c", "DROP TABLE model_versions CASCADE", "mlflow")
    stack.run("exec", "-T", "mlflow", "find", "/var/lib/mlflow", "-mindepth", "1", "-delete")
    backup("--restore", "--replace")
    assert counts(stack) == before
    stack.run("start", "app")
    wait_for(lambda: stack.health("app") == "healthy", WITHIN_S, 0.5)
    predict(stack, rows[:1])


def test_the_data_survive_down_and_up(stack, rows):
    stored = int(stack.sql("SELECT count(*) FROM predictions"))
    assert stored > 0
    stack.run("down", "--timeout", "40")
    stack.up()
    assert int(stack.sql("SELECT count(*) FROM predictions")) >= stored
    predict(stack, rows[:1])
    end = time.monotonic() + 60
    while (health := ask(stack.ports["APP"], "GET", "/health")[2])["status"] != "ok":
        assert time.monotonic() < end, health  # what was promoted before is still Production
        time.sleep(0.5)
    if "grafana" in stack.names:
        with urllib.request.urlopen(f"http://127.0.0.1:{stack.ports['GRAFANA']}/api/health", timeout=10) as answer:
            assert json.load(answer)["database"] == "ok"


def test_grafana_asks_prometheus(stack):
    if "grafana" not in stack.names:
        pytest.skip("grafana's image cannot be pulled: its data source is NOT tested here")
    address = f"http://127.0.0.1:{stack.ports['GRAFANA']}/api/datasources/uid/prometheus/health"
    manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    manager.add_password(None, address, "admin", PASSWORD)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
    assert json.load(opener.open(address, timeout=10))["status"] == "OK"
