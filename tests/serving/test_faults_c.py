"""Faults while serving, against the real server with its real processes; each name carries the id of its fault."""

import contextlib
import http.client
import json
import pickle
import re
import shutil
import signal
import socket
import statistics
import time
import zipfile

import psutil
import pytest

from lockstep.config.settings import Settings
from lockstep.inference import compiled_cache
from lockstep.inference.predictor import digest
from lockstep.registry import sidecar
from tests.flask_app.standins import make_bundle
from tests.serving.gate import ANSWERS, Balancer, Gate
from tests.serving.load import Load, ask
from tests.serving.real import Server, Store, copy_store, wait_for

pytestmark = pytest.mark.server
LONG = pytest.mark.long("runs one more fault of a class that has a quick one")
TOKEN = "a-token-of-the-tests"
CHANGED_S = 5.0
"""Within this the registry's change is served, and a dead worker replaced."""

OPENED_S = 30.0
"""A version that was never here is opened first, by a process of its own, for which a busy machine takes its time."""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    made = {name: make_bundle("binary", folder / name, name) for name in ("logistic_regression", "decision_tree")}
    return {**made, "text": make_bundle("text", folder / "text")}


@pytest.fixture(scope="module")
def rows(bundles):
    return json.loads((bundles["logistic_regression"] / "smoke.json").read_text())["rows"][:3]


def stocked(uri, state, bundles, name="demo"):
    """Return a store with two versions, the first of them Production."""
    store = Store(Settings.read({"MLFLOW_TRACKING_URI": uri, "LOCKSTEP_STATE": str(state)}), name)
    for bundle in ("logistic_regression", "decision_tree"):
        store.register(bundles[bundle])
    store.promote("1")
    return store


@pytest.fixture(scope="module")
def local(tmp_path_factory, template_store, bundles, rows):
    """A store on this machine, and what its versions answer."""
    folder = tmp_path_factory.mktemp("local registry")
    store = stocked(copy_store(template_store, folder), folder / "state", bundles)
    return store, store.answers(rows), folder


@pytest.fixture
def make(tmp_path):
    """Return a function that gives servers, which are all gone at the end."""
    made = []

    def act(**options):
        folder = tmp_path / options.pop("folder", f"server {len(made)}")
        folder.mkdir(exist_ok=True)
        made.append(Server(folder, **options))
        return made[-1]

    yield act
    for server in made:
        if server.process:
            server.kill()


@pytest.fixture(scope="module")
def standing(tmp_path_factory, local):
    """A server that stands through most of the faults of this file."""
    store, _, _ = local
    folder = tmp_path_factory.mktemp("standing")
    server = Server(
        folder, MLFLOW_TRACKING_URI=store.settings.tracking_uri, LOCKSTEP_POLL_S="1", LOCKSTEP_ADMIN_TOKEN=TOKEN
    ).start()
    yield server
    server.kill()


@pytest.fixture
def server(standing, local):
    """The standing server with all its workers, serving version 1, whatever the test before has left."""
    store, _, _ = local
    store.promote("1")
    wait_for(lambda: serves(standing, "1") and listening(standing) == 2, OPENED_S)
    return standing


@pytest.fixture
def load(server, rows, local):
    """Return a load on the standing server."""
    return lambda **options: Load(server.port, rows, local[1], **options)


def serves(server, version):
    """Tell whether every worker says so: each answers a part of the questions."""
    asked = [server.get("/readyz") for _ in range(12)]
    return all(status == 200 and content["model"]["version"] == version for status, _, content in asked)


def listening(server):
    """Count the workers that take connections."""
    count = 0
    for worker in server.workers():
        with contextlib.suppress(psutil.Error):
            count += any(link.status == psutil.CONN_LISTEN for link in worker.net_connections("tcp"))
    return count


def replaced(server, worker):
    """Kill a worker, and return how long it took until as many as before take connections."""
    worker.kill()
    return wait_for(lambda: not worker.is_running() and listening(server) == 2, CHANGED_S)[1]


def health(server):
    return server.get("/health")[2]


@pytest.mark.long("kills workers again and again")
def test_c01_a_killed_worker_is_replaced_and_again(server, load):
    with load(clients=4) as running:
        for _ in range(2):
            youngest = max(server.workers(), key=psutil.Process.create_time)
            assert replaced(server, youngest) < CHANGED_S
        whole = time.monotonic()
        time.sleep(1)
    failed = running.failed()
    assert len(failed) <= 2 * running.clients
    assert [seen for seen in failed if seen.at > whole] == []
    assert {seen.status for seen in failed} <= {0}
    assert len(running.seen) > 100


@pytest.mark.long("waits for a new sidecar under load")
def test_c01_a_killed_sidecar_is_replaced(server, local, load, request):
    with load(clients=2) as running:
        for _ in range(2 if request.config.getoption("long") else 1):
            victim = server.sidecar()
            victim.kill()
            wait_for(lambda gone=victim: not gone.is_running() and server.sidecar(), CHANGED_S)
        local[0].promote("2")
        wait_for(lambda: serves(server, "2"), OPENED_S)  # MLflow is imported, then the version opened
    assert running.failed() == []


def test_c01_workers_that_cannot_start_end_the_server(make):
    server = make(LOCKSTEP_RATE_LIMIT="nonsense")
    server.start(ready=False)
    assert server.process.wait(20) == 1
    said = server.log.read_text()
    assert "LOCKSTEP_RATE_LIMIT = 'nonsense' is not a rate" in said
    assert "Traceback" not in said


def test_c02_all_workers_killed_at_once(server, load):
    for worker in server.workers():
        worker.kill()
    assert server.until(200, within_s=CHANGED_S) < CHANGED_S
    wait_for(lambda: listening(server) == 2, CHANGED_S)
    with load() as running:
        time.sleep(0.5)
    assert running.failed() == []


@pytest.mark.long("starts one more server")
def test_c03_a_killed_master_takes_all_with_it_and_a_new_start_can_bind(make, local):
    first = make(folder="same", MLFLOW_TRACKING_URI=local[0].settings.tracking_uri)
    first.holds(local[0].bundles["1"]).start()
    left = first.tree()
    assert len(left) == 4  # two workers, the sidecar and the recorder
    first.process.kill()
    again = make(folder="same", port=first.port, MLFLOW_TRACKING_URI=local[0].settings.tracking_uri)
    again.start(ready=False)
    _, alive = psutil.wait_procs(left, 2.5)
    assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []
    again.until(200)
    assert len(again.workers()) == 2


def test_c04_a_worker_without_memory_is_survived(server, load, rows):
    for worker in server.workers():
        room = worker.memory_info().vms + 16 * 1024 * 1024
        worker.rlimit(psutil.RLIMIT_AS, (room, room))
    statuses = []
    for _ in range(6):
        with contextlib.suppress(OSError, http.client.HTTPException):
            statuses.append(server.predict(rows * 3000, timeout_s=30)[0])
    assert server.until(200, within_s=CHANGED_S) < CHANGED_S
    wait_for(lambda: listening(server) == 2, CHANGED_S)
    assert set(statuses) <= {200, 500, 503}
    starved = server.workers()
    for worker in starved:
        with contextlib.suppress(psutil.Error):
            worker.kill()
    psutil.wait_procs(starved, CHANGED_S)
    wait_for(lambda: listening(server) == 2, CHANGED_S)
    with load() as running:
        time.sleep(0.5)
    assert running.failed() == []


@pytest.fixture
def pair(make, local):
    """Two servers behind a balancer."""
    uri = local[0].settings.tracking_uri
    servers = [make(MLFLOW_TRACKING_URI=uri, LOCKSTEP_DRAIN_S="3", workers=1) for _ in range(2)]
    for server in servers:
        server.holds(local[0].bundles["1"]).start(ready=False)
    for server in servers:
        server.until(200)
    balancer = Balancer([server.port for server in servers])
    yield servers, balancer
    balancer.close()


def test_c05_a_server_leaves_under_load_and_nothing_is_lost(pair, rows, local):
    (first, _), balancer = pair
    with Load(balancer.port, rows, local[1], clients=8) as running:
        time.sleep(0.5)
        first.process.send_signal(signal.SIGTERM)
        wait_for(lambda: first.get("/readyz")[0] == 503, 1)
        assert {first.get(path)[0] for path in ("/ping", "/v2/health/ready")} == {503}
        assert first.get("/livez")[1]["Connection"] == "close"
        assert first.process.wait(10) == 0
        time.sleep(0.5)
    assert running.failed() == []
    assert len(running.seen) > 100
    assert "Traceback" not in first.log.read_text()


@pytest.mark.long("restarts two servers under load")
def test_c06_a_rolling_restart_loses_nothing(pair, rows, local):
    servers, balancer = pair
    with Load(balancer.port, rows, local[1], clients=8) as running:
        for server in servers:
            assert server.stop(signal.SIGTERM) == 0
            server.start()
            wait_for(lambda port=server.port: port in balancer._ready, 2)
    assert running.failed() == []
    assert len(running.seen) > 100


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), pytest.param(signal.SIGHUP, 0, marks=LONG)])
def test_c05_ctrl_c_and_a_hang_up_stop_without_draining(make, local, number, code):
    server = make(MLFLOW_TRACKING_URI=local[0].settings.tracking_uri, LOCKSTEP_DRAIN_S="60", workers=1)
    assert server.holds(local[0].bundles["1"]).start().stop(number, within_s=5) == code


@pytest.mark.long("starts one more server, and drains it")
def test_c05_a_second_signal_cuts_the_drain_short(make, local):
    server = make(MLFLOW_TRACKING_URI=local[0].settings.tracking_uri, LOCKSTEP_DRAIN_S="60", workers=1)
    server.holds(local[0].bundles["1"]).start()
    server.process.send_signal(signal.SIGTERM)
    server.until(503)
    assert server.stop(signal.SIGTERM, within_s=5) == 0


def test_c05_a_stop_reaches_workers_that_are_only_just_starting(make, local):
    server = make(MLFLOW_TRACKING_URI=local[0].settings.tracking_uri, workers=4)
    server.start(ready=False)
    wait_for(lambda: len(server.workers()) == 4, 10)
    assert server.stop(within_s=10) == 0


@pytest.fixture(scope="module")
def remote(mlflow_server, bundles, rows, tmp_path_factory):
    """A registry behind a gate, and what its versions answer."""
    store = stocked(mlflow_server, tmp_path_factory.mktemp("remote"), bundles, "remote")
    return store, store.answers(rows)


@pytest.fixture
def gate(mlflow_server, remote):
    remote[0].promote("1")
    made = Gate(int(mlflow_server.rsplit(":", 1)[1]))
    yield made
    made.close()


@pytest.fixture
def behind(make, gate):
    """Return a function that gives servers which see the registry through the gate."""
    uri = f"http://127.0.0.1:{gate.port}"
    return lambda **options: make(name="remote", MLFLOW_TRACKING_URI=uri, LOCKSTEP_POLL_S="1", **options)


@pytest.mark.long("starts one more server")
def test_c07_the_cached_version_serves_while_the_registry_is_away(behind, gate, remote):
    store, _ = remote
    server = behind(folder="same").holds(store.bundles["2"]).start()
    server.stop()
    gate.set("shut")
    store.promote("2")
    server.start()
    assert server.get("/readyz")[2]["model"]["version"] == "1"
    assert health(server) | {"model": None} == {
        "status": "degraded",
        "model": None,
        "registry": "out of reach",
        "fault": "the model registry is out of reach",
        "challenger": None,
    }
    gate.set("open")
    wait_for(lambda: serves(server, "2"), OPENED_S)  # connected to anew


@pytest.mark.long("starts one more server without a registry")
def test_c08_without_a_cache_it_waits_alive_and_recovers_by_itself(behind, gate):
    gate.set("shut")
    server = behind()
    server.start(ready=False)
    server.until(200, "/livez")
    status, headers, content = server.get("/readyz")
    assert (status, headers["Retry-After"], content["status"]) == (503, "5", 503)
    assert server.predict([{}])[0] == 503
    gate.set("open")
    server.until(200, within_s=OPENED_S)


AWAY = ["shut", "hangs", *ANSWERS]
QUICK_AWAY = ("shut", "hangs", "garbage")
SIDECAR_THREADS = 1 + sidecar.THREADS + 2 * 3 + 2
"""Its own, its pool, a thread for each question that two workers have under way, and a little of MLflow's."""

IDS = {"shut": "c09", "hangs": "c10"} | dict.fromkeys(ANSWERS, "c11")


@pytest.fixture(scope="module")
def followed(mlflow_server, remote, tmp_path_factory):
    """A server behind a gate of its own, for all ways in which a registry fails at run time."""
    gate = Gate(int(mlflow_server.rsplit(":", 1)[1]))
    uri = f"http://127.0.0.1:{gate.port}"
    folder = tmp_path_factory.mktemp("followed")
    server = Server(folder, name="remote", MLFLOW_TRACKING_URI=uri, LOCKSTEP_POLL_S="1")
    yield server.holds(*remote[0].bundles.values()).start(), gate
    server.kill()
    gate.close()


@pytest.mark.parametrize(
    "mode", [pytest.param(mode, marks=() if mode in QUICK_AWAY else LONG, id=f"{IDS[mode]}-{mode}") for mode in AWAY]
)
def test_a_registry_that_fails_at_run_time_fails_no_request(followed, remote, rows, request, mode):
    server, gate = followed
    store, expected = remote
    gate.set("open")
    store.promote("1")
    wait_for(lambda: serves(server, "1") and health(server)["status"] == "ok", OPENED_S)
    long = request.config.getoption("long")
    away_s = 600 if long and mode == "shut" else 6 if long else 2
    with Load(server.port, rows, expected, clients=2, pause_s=0.02) as running:
        gate.set(mode)
        wait_for(lambda: health(server)["status"] == "degraded", 10)
        time.sleep(away_s)
        assert server.sidecar().num_threads() <= SIDECAR_THREADS
        assert "model_registry_up 0.0" in server.get("/metrics")[2]
        assert health(server)["fault"] == "the model registry is out of reach"
        store.promote("2")
        gate.set("open")
        wait_for(lambda: serves(server, "2") and "2" in running.versions(), OPENED_S)
    assert running.failed() == []
    assert running.versions().keys() == {"1", "2"}
    wait_for(lambda: "model_registry_up 1.0" in server.get("/metrics")[2], 5)


def truncated(folder):
    path = folder / "model.skops"
    path.write_bytes(path.read_bytes()[:-100])


def pickled(folder):
    (folder / "model.skops").write_bytes(pickle.dumps({"a": 1}))


def unlisted(folder):
    path = folder / "model.skops"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["schema.json"] = members["schema.json"].replace(b'"StandardScaler"', b'"MinMaxScaler"')
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def other_answers(folder):
    path = folder / "smoke.json"
    smoke = json.loads(path.read_text())
    smoke["answers"][0]["prediction"] = "top"
    path.write_text(json.dumps(smoke))


def other_schema(folder):
    schema = json.loads((folder / "schema.json").read_text())
    schema["columns"] = schema["columns"][1:]
    (folder / "schema.json").write_text(json.dumps(schema))


DAMAGES = {
    "c12-truncated": (truncated, None, "skops"),
    "c12-checksum": (lambda folder: None, "0" * 64, "digest"),
    "c12-pickle": (pickled, None, "not a skops file"),
    "c12-flavor": (unlisted, None, "allow-list"),
    "c13-smoke": (other_answers, None, "otherwise"),
    "c13-schema": (other_schema, None, "refused"),
}


QUICK_DAMAGES = ("c12-checksum", "c13-smoke")


@pytest.mark.parametrize("case", [pytest.param(case, marks=() if case in QUICK_DAMAGES else LONG) for case in DAMAGES])
def test_a_version_that_must_not_serve_does_not(server, local, load, bundles, tmp_path, case):
    damage, sha256, reason = DAMAGES[case]
    folder = shutil.copytree(bundles["logistic_regression"], tmp_path / "damaged")
    damage(folder)
    with load(clients=2) as running:
        number = local[0].register(folder, sha256)
        del local[0].bundles[number]
        local[0].promote(number)
        began = f"version {number} was refused: "
        wait_for(lambda: all((health(server)["fault"] or "").startswith(began) for _ in range(12)), OPENED_S)
        assert reason in health(server)["fault"]
        assert server.get("/readyz")[0] == 200
        local[0].promote("1")
        wait_for(lambda: [health(server)["fault"] for _ in range(12)] == [None] * 12, CHANGED_S)
    assert running.failed() == []
    assert running.versions().keys() == {"1"}
    logged = re.findall(rf"WARNING model: version {number} was refused", server.log.read_text())
    assert 1 <= len(logged) <= 2


def test_c14_a_promotion_under_load(server, local, load):
    local[0].promote("2")
    wait_for(lambda: serves(server, "2"), OPENED_S)
    local[0].promote("1")
    wait_for(lambda: serves(server, "1"), CHANGED_S)
    moved(server, load, lambda: local[0].promote("2"))


@pytest.mark.long("opens a version under load")
def test_c14_a_promotion_of_a_version_never_seen_here(server, local, load, bundles, tmp_path):
    """It has to be opened first, by a process of its own; on a busy machine that alone takes seconds."""
    folder = shutil.copytree(bundles["decision_tree"], tmp_path / "new")
    smoke = json.loads((folder / "smoke.json").read_text())
    (folder / "smoke.json").write_text(json.dumps(smoke))  # other bytes, the same model
    with load(clients=8):  # the same load that it will be opened under
        began = time.monotonic()
        compiled_cache.load(shutil.copytree(folder, tmp_path / "again"), digest(folder))
        opened_s = time.monotonic() - began
    number = local[0].register(folder)
    local[1][number] = local[1]["2"]
    moved(server, load, lambda: local[0].promote(number), "1", number, max(0.0, 2 * (opened_s - 1.5)))


def test_c16_a_rollback_under_load(server, local, load):
    local[0].promote("2")
    wait_for(lambda: serves(server, "2"), OPENED_S)
    moved(server, load, local[0].rollback, "2", "1")


def test_c16_a_rollback_by_the_admin_route(server, local, load):
    local[0].promote("2")
    wait_for(lambda: serves(server, "2"), OPENED_S)
    sent = {"reason": "complaints", "actor": "ann"}, {"Authorization": f"Bearer {TOKEN}"}
    moved(server, load, lambda: ask(server.port, "POST", "/admin/rollback", *sent), "2", "1")
    last = local[0].registry.history()[0]
    assert (last.action, last.version, last.previous) == ("rollback", "1", "2")
    assert (last.actor, last.reason) == ("ann", "complaints")


def test_c14_a_version_that_the_request_names(server, local, rows):
    for version in ("2", "1", "2"):
        status, _, content = ask(server.port, "POST", "/predict", {"rows": rows, "version": version})
        assert (status, content["model"]["version"]) == (200, version)
        answers = [{key: one[key] for key in one if key != "id"} for one in content["predictions"]]
        assert answers == local[1][version]
    status, _, content = ask(server.port, "POST", "/predict", {"rows": rows, "version": "999"})
    assert (status, "version" in content["detail"]) == (422, True)


def moved(server, load, move, before="1", after="2", slack_s=0.0):
    """Move Production under load, and see each answer be of one version, and none of the old one for long."""
    with load(clients=8) as running:
        time.sleep(0.5)
        move()
        when = time.monotonic()
        wait_for(lambda: serves(server, after), OPENED_S)
        time.sleep(1)
    assert running.failed() == []
    assert running.versions().keys() == {before, after}
    assert max(seen.at for seen in running.seen if seen.version == before) - when < CHANGED_S + slack_s


@pytest.mark.long("promotes again and again")
def test_c15_many_promotions(server, local, load, request):
    long = request.config.getoption("long")
    moves, every_s = (100, 1.2) if long else (4, 1.2)
    for version in ("2", "1"):  # once each, so that both have been loaded
        local[0].promote(version)
        wait_for(lambda wanted=version: serves(server, wanted), OPENED_S)
    with load(clients=4, pause_s=0.01) as running:
        time.sleep(2 if long else 1)
        before = [(worker.memory_info().rss, worker.num_fds()) for worker in server.workers()]
        for count in range(moves):
            local[0].promote("2" if count % 2 == 0 else "1")
            time.sleep(every_s)
        time.sleep(1)
        after = [(worker.memory_info().rss, worker.num_fds()) for worker in server.workers()]
    assert running.failed() == []
    assert running.versions().keys() == {"1", "2"}
    assert len({seen.version + str(int(seen.at)) for seen in running.seen}) > moves / 2
    growth = [(new[0] / old[0], new[1] - old[1]) for old, new in zip(before, after, strict=True)]
    assert all(ratio < 1.05 and more <= 2 for ratio, more in growth), growth


def test_c17_a_deleted_alias_keeps_the_last_version(server, local, load):
    client = local[0].registry.client
    with load(clients=2) as running:
        client.delete_registered_model_alias("demo", "production")
        fault = "no version of demo is Production"  # which each worker notices for itself
        wait_for(lambda: all(health(server)["fault"] == fault for _ in range(12)), CHANGED_S)
        assert health(server)["status"] == "degraded"
        time.sleep(0.5)
    assert running.failed() == []
    assert running.versions().keys() == {"1"}


def connected(port, sent=b""):
    link = socket.create_connection(("127.0.0.1", port), timeout=5)
    link.sendall(sent)
    return link


def head(rows, missing=0):
    body = json.dumps({"rows": rows}).encode()
    return (
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    ) + body[: len(body) - missing]


def test_c24_no_descriptors_left(server, load):
    for worker in server.workers():
        worker.rlimit(psutil.RLIMIT_NOFILE, (64, 64))
    links = []
    for _ in range(200):
        with contextlib.suppress(OSError):
            links.append(connected(server.port, b"GET /livez HTTP/1.1\r\nHost: a\r\n"))
    time.sleep(1)
    for link in links:
        link.close()
    assert server.until(200, within_s=CHANGED_S) < CHANGED_S
    with load() as running:
        time.sleep(1)
    assert running.failed() == []
    for worker in server.workers():
        worker.kill()


def test_c25_slow_clients_starve_nobody(server, load, rows):
    kinds = [
        b"POST /predict HTTP/1.1\r\nHost: a\r\n",
        head(rows, missing=10),
        head(rows * 300),  # asked, and the answer never read
    ]
    with contextlib.ExitStack() as slow:
        for count in range(240):
            link = slow.enter_context(connected(server.port, kinds[count % 3 if count % 30 == 2 else count % 2]))
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        time.sleep(0.5)
        with load(clients=4) as running:
            time.sleep(2)
    assert running.failed() == []
    assert len(running.seen) > 50
    assert statistics.quantiles([seen.seconds for seen in running.seen], n=100)[98] < 1


def test_c25_more_half_sent_bodies_than_threads(server, load, rows):
    with contextlib.ExitStack() as slow:
        for _ in range(1300):
            slow.enter_context(connected(server.port, head(rows, missing=10)))
        wait_for(lambda: all(server.get("/readyz")[0] == 200 for _ in range(12)), 30)
        with load(clients=4) as running:
            time.sleep(1)
    assert running.failed() == []


@pytest.mark.long("loads a server beyond what it takes")
def test_c26_overload_is_refused_politely(server, rows, local, request):
    before = sum(worker.memory_info().rss for worker in server.workers())
    expected = {number: answers * 1000 for number, answers in local[1].items()}
    with (
        Load(server.port, rows * 1000, expected, clients=40, pause_s=0, timeout_s=30) as heavy,
        Load(server.port, rows, local[1], clients=2, pause_s=0.05, timeout_s=30) as light,
    ):
        time.sleep(6 if request.config.getoption("long") else 3)
    refused = [seen for seen in heavy.seen + light.seen if seen.fault]
    assert {seen.status for seen in refused} <= {429, 503}
    assert [seen.fault for seen in refused if not re.match(r"Retry-After: \d", seen.fault)] == []
    answered = [seen for seen in heavy.seen if not seen.fault]
    assert len(answered) > 5
    assert max(seen.seconds for seen in answered) < 15
    assert max(seen.seconds for seen in light.seen) < 10
    assert sum(worker.memory_info().rss for worker in server.workers()) < before + 400e6
    server.until(200, within_s=CHANGED_S)


def counted(server):
    """Return the sum of each counter over all its series."""
    sums = {}
    for line in server.get("/metrics")[2].splitlines():
        name, _, value = line.rpartition(" ")
        if not line.startswith("#") and name.partition("{")[0].endswith(("_total", "_count")):
            sums[name] = sums.get(name, 0) + float(value)
    return sums


def test_c28_counters_never_go_down(server, rows):
    for _ in range(40):
        server.predict(rows)
    before = counted(server)
    key = next(name for name in before if 'endpoint="/predict"' in name and name.startswith("app_request_count_total"))
    assert before[key] >= 40
    for worker in server.workers():
        replaced(server, worker)
        for _ in range(10):
            server.predict(rows)
        after = counted(server)
        assert {name: value for name, value in before.items() if after.get(name, 0) < value} == {}
        assert after[key] >= before[key] + 10
        before = after


def test_c30_clients_that_hang_up_leave_nothing_behind(server, load, rows):
    with load(clients=2):
        time.sleep(0.5)
    fds = [worker.num_fds() for worker in server.workers()]
    logged = len(server.log.read_text())
    for count in range(200):
        whole = head(rows)
        connected(server.port, whole[: len(whole) * (count % 5 + 1) // 5]).close()
    with load(clients=2) as running:
        time.sleep(1)
    assert running.failed() == []
    wait_for(lambda: all(w.num_fds() <= before + 4 for w, before in zip(server.workers(), fds, strict=True)), 5)
    assert "Traceback" not in server.log.read_text()[logged:]


@pytest.mark.long("asks for a long time")
def test_c29_soak(server, load, request):
    """A million requests at full speed leave memory where it was; a few thousand in the short variant."""
    wanted = 1_000_000 if request.config.getoption("long") else 3_000
    with load(clients=8, pause_s=0) as running:
        wait_for(lambda: len(running.seen) > min(wanted // 2, 50_000), 600)
        before = sum(worker.memory_info().rss for worker in server.workers())
        wait_for(lambda: len(running.seen) > wanted, 3600)
        after = sum(worker.memory_info().rss for worker in server.workers())
    assert running.failed() == []
    assert after < before * 1.05
