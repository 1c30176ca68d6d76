"""The image on a real engine: what it is, what it answers, how fast it is there, and how it leaves."""

import os
import signal
import time

import pytest

from lockstep import files
from tests.flask_app.standins import make_bundle
from tests.image import engine
from tests.image.engine import docker
from tests.serving.gate import Balancer
from tests.serving.load import Load, ask
from tests.serving.real import wait_for

pytestmark = pytest.mark.image
WITHIN_S = 60
"""Generous, since the machine may be busy; the figure is printed."""


@pytest.fixture(scope="module")
def running(image):
    with engine.running(image) as container:
        container.until_ready(WITHIN_S)
        yield container


def test_its_size(image, python_image):
    ours = docker("image", "inspect", "--format", "{{.Size}}", image)
    base = docker("image", "inspect", "--format", "{{.Size}}", python_image)
    own_mb, base_mb = (int(ours) - int(base)) / 1e6, int(base) / 1e6
    print(f"\nimage: {own_mb:.0f} MB of ours on a base of {base_mb:.0f} MB; on the real one, {engine.REAL_BASE_MB} MB,")
    print(f"it is {own_mb + engine.REAL_BASE_MB:.0f} MB")
    assert own_mb + engine.REAL_BASE_MB < 460


def test_its_labels_lead_back(image, project):
    note = files.read_json(project.root / "build/model/registered.json")
    labels = engine.inspect(image)["Config"]["Labels"]
    assert labels["lockstep.model.sha256"] == note["sha256"]
    assert labels["lockstep.model.version"] == "breast-cancer-1"
    assert labels["lockstep.model.dvc-lock"] == note["dvc_lock"]
    assert labels["lockstep.model.data-sha256"] == note["data_sha256"]
    commit = project.run("git", "rev-parse", "HEAD").stdout.strip()
    assert labels["org.opencontainers.image.revision"] == labels["lockstep.model.git-commit"] == commit


def test_ready_soon_after_docker_run(image, rows):
    """From the command to the first prediction, with nothing but the image."""
    began = time.monotonic()
    with engine.running(image) as container:
        wait_for(lambda: ask(container.port, "POST", "/predict", {"rows": rows[:1]})[0] == 200, WITHIN_S)
        took = time.monotonic() - began
    print(f"\nimage: first prediction {took:.1f} s after `docker run`, load average {os.getloadavg()[0]:.1f}")
    assert took < WITHIN_S


def test_it_answers_what_the_evaluation_wrote_down(running, rows, written):
    status, _, content = ask(running.port, "POST", "/predict", {"rows": rows})
    assert status == 200
    assert [{key: one[key] for key in one if key != "id"} for one in content["predictions"]] == written
    assert len(written) > 100
    assert content["model"] == {"name": "breast-cancer", "version": "1"}


def test_s32_it_runs_with_no_right_at_all(running):
    config = engine.inspect(running.name)["HostConfig"]
    assert (config["ReadonlyRootfs"], config["CapDrop"]) == (True, ["ALL"])
    for process in running.python(STATUS).strip().split("\n\n"):
        facts = dict(line.split(":\t", 1) for line in process.splitlines())
        assert facts["Uid"].split() == ["10001"] * 4, process
        assert facts["Gid"].split() == ["10001"] * 4, process
        assert {int(facts[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}, process
        assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2"), process


STATUS = """
import glob
wanted = ("Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
processes = [open(path).readlines() for path in glob.glob("/proc/[0-9]*/status")]
print("\\n".join("".join(line for line in lines if line.split(":")[0] in wanted) for lines in processes))
"""


def test_s32_only_the_state_and_tmp_can_be_written(running):
    tried = running.python(
        "import os\n"
        "for folder in ('/', '/app', '/app/model', '/opt/lockstep', '/etc', '/var/lib/lockstep', '/tmp'):\n"
        "    try:\n"
        "        open(os.path.join(folder, 'probe'), 'w').close(); print(folder)\n"
        "    except OSError: pass\n"
    )
    assert tried.split() == ["/var/lib/lockstep", "/tmp"]


def test_the_health_check_says_what_is_so(running):
    wait_for(lambda: engine.inspect(running.name)["State"]["Health"]["Status"] == "healthy", WITHIN_S, 0.5)
    command = engine.inspect(running.name)["Config"]["Healthcheck"]["Test"][1:]
    assert docker("exec", running.name, *command, ok=False).returncode == 0
    assert docker("exec", "--env", "PORT=1", running.name, *command, ok=False).returncode == 1


def test_it_serves_the_baked_model_and_says_that_no_registry_is_there(running):
    assert running.get("/readyz")[0] == 200
    wait_for(lambda: running.get("/health")[2]["status"] == "degraded", WITHIN_S)
    _, _, health = running.get("/health")
    assert (health["model"]["version"], health["registry"]) == ("1", "out of reach")
    assert health["model"]["scorer"] == "linear"
    assert "Traceback" not in running.log()


def test_parquet_is_refused_in_a_line(running):
    docker("exec", running.name, "sh", "-c", "echo PAR1 > /tmp/in.parquet")
    done = docker("exec", running.name, "lockstep", "log", "export", "/tmp/out.parquet", ok=False)
    assert done.returncode == 1
    assert "Parquet needs pyarrow" in done.stderr
    assert "Traceback" not in done.stderr


def test_c05_it_leaves_under_load_and_nothing_is_lost(image, rows, written):
    expected = {"1": written[:3]}
    with engine.running(image, LOCKSTEP_DRAIN_S="4") as first, engine.running(image) as second:
        for each in (first, second):
            each.until_ready(WITHIN_S)
        balancer = Balancer([first.port, second.port])
        try:
            with Load(balancer.port, rows[:3], expected, clients=8) as load:
                time.sleep(0.5)
                began = time.monotonic()
                docker("kill", "--signal", signal.SIGTERM.name, first.name)
                code = int(docker("wait", first.name))
                took = time.monotonic() - began
                time.sleep(0.5)
        finally:
            balancer.close()
    print(f"\nimage: SIGTERM under load: ended with {code} after {took:.1f} s, 4 of them draining,")
    print(f"{len(load.seen)} requests, {len(load.failed())} failed")
    assert load.failed() == []
    assert len(load.seen) > 100
    assert code == 0
    assert took < 10


def test_its_state_outlives_it(image, rows):
    """A volume keeps the log and the note of what served; a container that follows takes it up."""
    volume = docker("volume", "create").strip()
    mounted = ("--volume", f"{volume}:/var/lib/lockstep")
    try:
        with engine.running(image, *mounted, LOCKSTEP_DRAIN_S="0") as container:
            container.until_ready(WITHIN_S)
            told = ask(container.port, "POST", "/predict", {"rows": rows[:1]})[2]["predictions"][0]["id"]
            docker("stop", "--time", "30", container.name)
        with engine.running(image, *mounted, LOCKSTEP_ADMIN_TOKEN="token-of-the-test") as container:
            container.until_ready(WITHIN_S)
            key = {"Authorization": "Bearer token-of-the-test"}
            found = wait_for(lambda: container.get("/predictions", headers=key)[2].get("predictions"), WITHIN_S)[0]
        assert [one["id"] for one in found] == [told]
    finally:
        docker("volume", "rm", "--force", volume)


def test_all_that_it_imports_is_bytecode(image):
    """What would be compiled at each start shows as a new file where the image may be written to."""
    options = ("--user", "0", "--env", "PYTHONDONTWRITEBYTECODE=", "--entrypoint", "sh")
    name = "lockstep-test-bytecode"
    docker("rm", "--force", "--volumes", name, ok=False)
    ours = "flask_app.wsgi, lockstep.registry.sidecar, lockstep.server.recorder"
    imports = f"import {ours}, granian.server.mp, mlflow.artifacts, sklearn"
    docker("run", "--name", name, *options, image, "-c", f"python -c '{imports}'")
    try:
        written = [line for line in docker("diff", name).splitlines() if line.endswith(".pyc")]
        assert written == []
    finally:
        docker("rm", "--force", "--volumes", name)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("drift", "--json"), 0, "alerts"),
        (("quality", "--json"), 0, "alerts"),
        (("log", "export", "/tmp/log.csv"), 0, ""),
        (("retrain", "--dispatch"), 1, "hint"),
        (("promote",), 1, "hint"),
        (("export", "/tmp/model"), 1, "hint"),
    ],
)
def test_the_commands_of_cron_jobs_run_or_say_why_not(running, words, code, said):
    done = docker("exec", running.name, "lockstep", *words, ok=False)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


KINDS = (
    *("binary-hist_gradient_boosting", "binary-k_nearest_neighbors", "multiclass-random_forest"),
    *("regression-decision_tree", "text-logistic_regression"),
)


def test_models_of_every_kind_answer_the_same_without_what_was_left_out(image, tmp_path_factory):
    """Compiled, and by the pipeline itself where there is no compiled form."""
    folder = tmp_path_factory.mktemp("kinds")
    folder.chmod(0o755)
    for kind in KINDS:
        task, estimator = kind.split("-")
        make_bundle(task, folder / kind, estimator)
    words = ("--rm", "--read-only", "--tmpfs", "/tmp", "--volume", f"{folder}:/kinds:ro", "--entrypoint", "python")
    told = docker("run", *words, image, "-c", ANSWER).splitlines()
    assert told == [f"{kind} True" for kind in sorted(KINDS)] + ["pyarrow None"]


ANSWER = """
import importlib.util, json, pathlib
from lockstep.inference import compiled_cache as compiled, predictor
for folder in sorted(pathlib.Path("/kinds").iterdir()):
    smoke = json.loads((folder / "smoke.json").read_text())
    own = compiled.load(folder, predictor.digest(folder), pathlib.Path("/tmp/compiled"))
    print(folder.name, own.answers(smoke["rows"]) == smoke["answers"] != [])
print("pyarrow", importlib.util.find_spec("pyarrow"))
"""
