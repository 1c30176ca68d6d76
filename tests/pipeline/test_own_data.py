"""A user's repository: own tables, several models, pushed, cloned, pulled, run again and served."""

import json
import random
import re
import shutil
import subprocess
import sys

import boto3
import pytest
import yaml

from tests import ops
from tests.pipeline.project import Project, copy_project
from tests.root import ROOT
from tests.serving.load import ask
from tests.serving.real import Server, wait_for

pytestmark = [pytest.mark.pipeline, pytest.mark.long("trains four models and runs them again in two clones")]

MODELS = {"breast-cancer": ".", **{name: f"usecases/{name}" for name in ("housing", "iris", "reviews")}}
MAKE = ("make", "-o", ".venv/run.stamp", "-o", ".venv/dev.stamp", "-o", "setup")
"""Without the set-up: the environment is that of the tests."""

CI = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
CI_STEPS = [step["run"] for step in CI["jobs"]["pipeline"]["steps"] if "run" in step]
TOKEN = "admin-token-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
WINDOW = 60

GOOD, BAD = "lovely brilliant warm funny touching", "dull awful slow clumsy boring"


def tables(folder):
    """Write a table of three classes, one of a number to predict, and one of texts."""
    draw = random.Random(7)
    iris, housing, reviews = ["length,width,species"], ["rooms;age;region;price"], ["review\tmood"]
    for _ in range(240):
        species = draw.choice(["setosa", "versicolor", "virginica"])
        iris.append(f"{draw.gauss(len(species), 0.7):.2f},{draw.gauss(3, 0.4):.2f},{species}")
        rooms, age, region = draw.randint(1, 9), draw.randint(0, 60), draw.choice(["coast", "inland"])
        housing.append(f"{rooms};{age};{region};{rooms * 30 + 50 * (region == 'coast') + draw.gauss(0, 5):.1f}")
        good = draw.random() < 0.5
        words = draw.choices((GOOD if good else BAD).split(), k=6) + draw.choices(
            f"{GOOD} {BAD} film plot".split(), k=5
        )
        reviews.append(f"{' '.join(words)} {draw.randint(0, 9999)}\t{'good' if good else 'bad'}")
    for name, lines in (("iris.csv", iris), ("housing.csv", housing), ("reviews.tsv", reviews)):
        (folder / name).write_text("\n".join(lines) + "\n")


def ready(root, **settings):
    """Return a project in a folder that `make` finds set up, with nothing in it that git would show."""
    (root / ".venv").symlink_to(ROOT / ".venv")
    with (root / ".git/info/exclude").open("a") as excluded:
        excluded.write(".venv\nserve-*.log\n")
    project = Project(root, settings, timeout_s=1800)
    project.run("git", "config", "user.name", "test")
    project.run("git", "config", "user.email", "test@localhost")
    return project


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("own")


@pytest.fixture(scope="module")
def mine(folder):
    """A project with four models, trained, promoted, committed and pushed."""
    project = ready(copy_project(folder / "mine").root, DVC_REMOTE_URL=str(folder / "storage"), HOME=str(folder))
    tables(folder)
    added = (("iris.csv", "species"), ("housing.csv", "price", "--git"), ("reviews.tsv", "mood"))
    for file, target, *words in added:
        name = file.partition(".")[0]
        done = project.run("lockstep", "init", f"../{file}", "--target", target, "--name", name, "--json", *words)
        project.run("sh", "-ec", json.loads(done.stdout)["commit"])
    assert project.git_status() == ""  # what `init` says to commit is all that there is
    monitored = f"model_evaluation:\n  monitoring: {{window_rows: {WINDOW}}}\n"
    project.edit("usecases/iris/params.yaml", "model_evaluation:\n", monitored)
    project.run(*MAKE, "repro")
    project.commit("Train four models")
    project.run(*MAKE, "remote", "push-data")
    project.run("git", "init", "-q", "--bare", "../bare")
    project.run("git", "push", "-q", "../bare", "HEAD:main")
    return project


@pytest.mark.parametrize("remote", ["folder", "s3"])
def test_a_clone_pulls_and_runs_green_and_nothing_is_dirty(mine, folder, aws_address, remote):
    settings = {"DVC_REMOTE_URL": str(folder / "storage"), "HOME": str(folder)}
    if remote == "s3":
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        boto3.client("s3", endpoint_url=aws_address, region_name=ops.REGION, **keys).create_bucket(Bucket="own")
        aws = {name: value for name, value in ops.environment(aws_address).items() if name.startswith(("AWS_", "NO_"))}
        settings |= aws | {"DVC_REMOTE_URL": "s3://own/data", "DVC_REMOTE_ENDPOINT": aws_address}
        Project(mine.root, settings, timeout_s=1800).run(*MAKE, "remote", "push-data")
    mine.run("git", "clone", "-q", "-b", "main", str(folder / "bare"), str(folder / remote))
    clone = ready(folder / remote, **settings)
    assert not (clone.root / "usecases/iris/data/external/iris.csv").exists()
    printed = {step: run_step(clone, step, folder / f"summary-{remote}") for step in CI_STEPS}
    assert [*printed][:3] == ["make pull-data", "make repro", "make test-project"]
    assert "Running stage 'model_building'" not in printed["make repro"]
    assert ":model_building'\n> " not in printed["make repro"]
    assert "no difference" in (folder / f"summary-{remote}").read_text()
    assert clone.git_status() == ""


def run_step(project, step, summary):
    """Run a step of a workflow as a runner does, but for the set-up, and return what it prints."""
    settings = project.settings | {"GITHUB_STEP_SUMMARY": str(summary), "BASE": ""}
    command = ("bash", "-euo", "pipefail", "-c", re.sub(r"^make ", f"{' '.join(MAKE)} ", step))
    return Project(project.root, settings, project.timeout_s).run(*command).stdout


def test_without_a_remote_a_clone_says_what_is_missing(mine, folder):
    mine.run("git", "clone", "-q", "-b", "main", str(folder / "bare"), str(folder / "none"))
    done = ready(folder / "none", HOME=str(folder)).run(*MAKE, "pull-data", ok=False)
    assert "error: usecases/iris/data/external/iris.csv is under DVC, and no DVC remote is set" in done.stderr


def test_every_command_is_about_the_model_that_is_named(mine):
    for name, metric in (("housing", "r2"), ("iris", "accuracy")):

        def told(command, *words, name=name):
            return json.loads(mine.lockstep(command, *words, "--model", name, "--json").stdout)

        assert told("history")["model"] == told("drift")["model"] == told("quality")["model"] == name
        assert told("report")["report"].endswith(f"{MODELS[name]}/reports/report.html")
        assert metric in told("experiments")[0]["metrics"]
        assert told("export", f"build/{name}")["model"] == name
        assert f"{name} has no earlier Production" in mine.lockstep("rollback", "--model", name, ok=False).stderr
        scored = mine.root / f"build/{name}.csv"
        mine.lockstep("predict", f"{MODELS[name]}/data/interim/test.parquet", str(scored), "--model", name)
        assert len(scored.read_text().splitlines()) > 40
    listed = mine.lockstep("history", "--all-models", "--json").stdout.splitlines()
    assert [json.loads(line)["model"] for line in listed] == list(MODELS)
    assert mine.git_status() == ""


def test_an_image_has_every_model_and_serves_them_without_a_registry(mine, tmp_path):
    (tmp_path / "docker").mkdir()
    path = f"{ROOT / 'tests/github'}:{mine.environment['PATH']}"
    built = Project(mine.root, {"DOCKER_STANDIN": str(tmp_path / "docker"), "PATH": path}).run("scripts/image")
    assert "housing-1" in built.stdout
    app = tmp_path / "app"
    shutil.copytree(mine.root / "build/model", app / "model")
    shutil.copy(mine.root / "params.yaml", app)
    (app / "usecases").symlink_to("model/usecases")
    subprocess.run(
        [sys.executable, "-m", "lockstep.lifecycle.export", "model"], cwd=app, env=mine.environment, check=True
    )
    server = Server(app, "", workers=1, LOCKSTEP_BAKED_MODEL=str(app / "model")).start(within_s=120)
    try:
        for name in MODELS:
            _, _, answer = ask(server.port, "POST", f"/predict/{name}", {"rows": [example_row(mine, name)]})
            assert answer["model"] == {"name": name, "version": "1"}
    finally:
        server.stop()


@pytest.fixture
def server(mine):
    """A server of the project, which retrains by itself when a model drifts."""
    own = {"LOCKSTEP_STATE": str(mine.root / ".lockstep"), "LOCKSTEP_ADMIN_TOKEN": TOKEN, "LOCKSTEP_MONITOR_S": "1"}
    path = {name: mine.environment[name] for name in ("PYTHONPATH", "PATH")}
    server = Server(mine.root, "", workers=1, LOCKSTEP_RETRAIN_ON="drift", **own, **path).start(within_s=120)
    yield server
    server.stop()


def example_row(mine, name):
    return json.loads(mine.read(f"{MODELS[name]}/models/smoke.json"))["rows"][0]


def test_every_address_answers_for_every_model(mine, server):
    assert {name: state["status"] for name, state in server.get("/models/info")[2]["models"].items()} == dict.fromkeys(
        MODELS, "ok"
    )
    for name in MODELS:
        for path in (f"/predict/{name}", f"/models/{name}/predict"):
            status, _, answer = ask(server.port, "POST", path, {"rows": [example_row(mine, name)]})
            assert (status, answer["model"]["name"], len(answer["predictions"])) == (200, name, 1)
        recent = f"/logs/recent?model={name}"
        logged, _ = wait_for(lambda path=recent: server.get(path, headers=BEARER)[2]["predictions"], 30)
        assert {row["model"] for row in logged} == {name} and "row" not in logged[0]
        assert f'model_loaded{{name="{name}"' in server.get("/metrics/prometheus")[2]
    assert server.get("/logs/recent")[0] == 401
    smoke = mine.run("scripts/smoke", "--url", f"http://127.0.0.1:{server.port}").stdout
    assert re.findall(r"(?m)^predicts: .* of (\S+)$", smoke) == list(MODELS)[1:]
    page = server.get("/health", headers={"Accept": "text/html"})[2]
    assert all(f'<th scope="row">{name}</th>' in page for name in MODELS)


def test_a_server_is_ready_when_the_last_of_its_models_is(mine, tmp_path):
    names = ",".join([*MODELS, "late"])
    path = {"PYTHONPATH": mine.environment["PYTHONPATH"], "LOCKSTEP_STATE": str(mine.root / ".lockstep")}
    server = Server(tmp_path, names, workers=1, **path).start(ready=False)
    try:
        row = {"rows": [example_row(mine, "iris")]}
        wait_for(lambda: ask(server.port, "POST", "/predict/iris", row)[0] == 200, 60, 0.2)
        assert server.get("/readyz")[0] == 503
        assert server.get("/health")[2]["models"]["late"]["status"] == "unavailable"
    finally:
        server.stop()


def contents(root):
    """Return the bytes of everything that a model's folder holds, without state and caches."""
    parts = [root / "dvc.lock", *(root / name for name in ("data", "models", "reports"))]
    files = [path for part in parts for path in ([part] if part.is_file() else part.rglob("*")) if path.is_file()]
    return {path.relative_to(root): path.read_bytes() for path in files if path.name != "experiment_info.json"}


def test_a_change_of_one_model_leaves_the_bytes_of_the_others(mine):
    mine.run(*MAKE, "repro")  # after the commands of other tests, such as a retraining
    before = {name: contents(mine.root / folder) for name, folder in MODELS.items()}
    assert "models with a change: 0 of 4" in mine.run(*MAKE, "repro").stdout
    mine.edit("usecases/iris/params.yaml", "method: auto, test_size: 0.2", "method: auto, test_size: 0.3")
    assert "models with a change: 1 of 4" in mine.run(*MAKE, "repro").stdout
    after = {name: contents(mine.root / folder) for name, folder in MODELS.items()}
    assert {name for name in MODELS if before[name] != after[name]} == {"iris"}
    (history,) = [json.loads(mine.lockstep("history", "--model", "housing", "--json").stdout)]
    assert (history["model"], history["production"]) == ("housing", "1")


def ended(server):
    """Return the newest retraining if it has ended."""
    jobs = json.loads((server.folder / ".lockstep/monitoring.json").read_text())["jobs"]
    return jobs[0] if jobs and jobs[0]["state"] not in ("waiting", "running") else None


def test_an_alert_of_one_model_retrains_that_one(mine, server):
    before = {name: contents(mine.root / folder) for name, folder in MODELS.items()}
    draw = random.Random(1)
    for _ in range(3 * WINDOW):
        row = {"length": round(draw.gauss(6, 0.7), 2), "width": round(draw.gauss(3, 0.4), 2)}  # setosa alone
        _, _, answer = ask(server.port, "POST", "/predict/iris", {"rows": [row]})
        ask(server.port, "POST", "/feedback", {"id": answer["predictions"][0]["id"], "label": "setosa"})
    job, _ = wait_for(lambda: ended(server), 180, 1.0)
    assert (job["model"], job["trigger"]) == ("iris", "drift"), job
    assert job["state"] in ("promoted", "kept"), job
    after = {name: contents(mine.root / folder) for name, folder in MODELS.items()}
    assert {name for name in MODELS if before[name] != after[name]} == {"iris"}
    assert ask(server.port, "POST", "/retrain", {"model": "none"}, BEARER)[0] == 404
    for name in ("housing", "reviews"):
        status, headers, job = ask(server.port, "POST", "/retrain", {"model": name}, BEARER)
        assert (status, job["model"], job["trigger"]) == (202, name, "request")
        where = headers["Location"]
        wait_for(lambda path=where: server.get(path, headers=BEARER)[2]["state"] == "kept", 120, 0.5)
