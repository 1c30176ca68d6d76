"""A user's repository: own tables, several models, pushed, cloned, pulled, run again and served."""

import json
import os
import random
import signal
import subprocess
import urllib.request

import boto3
import pytest

from tests import ops
from tests.pipeline.project import Project, copy_project
from tests.root import ROOT
from tests.serving.real import free_port, wait_for

pytestmark = [pytest.mark.pipeline, pytest.mark.long("trains four models and runs them again in two clones")]

MODELS = {"breast-cancer": ".", **{name: f"usecases/{name}" for name in ("housing", "iris", "reviews")}}
MAKE = ("make", "-o", ".venv/run.stamp", "-o", ".venv/dev.stamp", "-o", "setup")
"""Without the set-up: the environment is that of the tests."""

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
        excluded.write(".venv\n")
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
    clone.run(*MAKE, "pull-data")
    printed = clone.run(*MAKE, "repro").stdout
    assert "Running stage 'model_building'" not in printed and ":model_building'\n> " not in printed
    clone.run(*MAKE, "test-project")
    assert clone.git_status() == ""


def test_without_a_remote_a_clone_says_what_is_missing(mine, folder):
    mine.run("git", "clone", "-q", "-b", "main", str(folder / "bare"), str(folder / "none"))
    done = ready(folder / "none", HOME=str(folder)).run(*MAKE, "pull-data", ok=False)
    assert "error: usecases/iris/data/external/iris.csv is under DVC, and no DVC remote is set" in done.stderr


def test_all_models_are_served_together(mine):
    port = free_port()
    command = ["lockstep", "serve", "--port", str(port), "--workers", "1"]
    process = subprocess.Popen(command, cwd=mine.root, env=mine.environment, start_new_session=True)
    try:
        wait_for(lambda: ask_json(port, "/readyz")["status"] == "ready", 120, 0.5)
        assert {name: state["status"] for name, state in ask_json(port, "/health")["models"].items()} == dict.fromkeys(
            MODELS, "ok"
        )
        for name, region in MODELS.items():
            row = json.loads(mine.read(f"{region}/models/smoke.json"))["rows"][0]
            answer = ask_json(port, f"/models/{name}/predict", {"rows": [row]})
            assert answer["model"]["name"] == name and len(answer["predictions"]) == 1
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def ask_json(port, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json", "Accept": "application/json"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        return json.load(answer)


def contents(root):
    """Return the bytes of everything that a model's folder holds, without state and caches."""
    parts = [root / "dvc.lock", *(root / name for name in ("data", "models", "reports"))]
    files = [path for part in parts for path in ([part] if part.is_file() else part.rglob("*")) if path.is_file()]
    return {path.relative_to(root): path.read_bytes() for path in files if path.name != "experiment_info.json"}


def test_a_change_of_one_model_leaves_the_bytes_of_the_others(mine):
    before = {name: contents(mine.root / folder) for name, folder in MODELS.items()}
    assert "models with a change: 0 of 4" in mine.run(*MAKE, "repro").stdout
    mine.edit("usecases/iris/params.yaml", "method: auto, test_size: 0.2", "method: auto, test_size: 0.3")
    assert "models with a change: 1 of 4" in mine.run(*MAKE, "repro").stdout
    after = {name: contents(mine.root / folder) for name, folder in MODELS.items()}
    assert {name for name in MODELS if before[name] != after[name]} == {"iris"}
    (history,) = [json.loads(mine.lockstep("history", "--model", "housing", "--json").stdout)]
    assert (history["model"], history["production"]) == ("housing", "1")
