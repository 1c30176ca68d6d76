import contextlib
import csv
import io
import json
import subprocess
import tarfile

import pytest

from lockstep import files
from lockstep.data import cleaning, frames, parquet
from lockstep.data.schema import Schema
from tests.image import engine
from tests.pipeline.project import copy_project

CANARY = "canary-5f1d0c9ab3e2"
"""Stands in files and in the environment of the build, and must stand nowhere in the image."""


def pytest_ignore_collect(collection_path, config):
    """Leave out what needs an engine unless it is asked for; test_files.py says that it was left out."""
    needs_engine = collection_path.name in (
        "test_dask.py",
        "test_image.py",
        "test_layers.py",
        "test_push.py",
        "test_push_ecr.py",
        "test_reproducible.py",
        "test_stack.py",
    )
    return True if needs_engine and not config.getoption("image") else None


@pytest.fixture(scope="session")
def python_image():
    """The base that images are built from here."""
    if not engine.known(engine.BASE):
        pytest.fail(f"{engine.BASE} is neither here nor can anything stand in for it: run `make test-image`")
    engine.make_python()
    return engine.PYTHON


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A copy of the project with a promoted model, and secrets where people leave them."""
    project = copy_project(tmp_path_factory.mktemp("image") / "a project")
    project.run("python", "benchmarks/one_process.py")
    project.lockstep("promote")
    for name in (".env", "flask_app/.env.local", "src/lockstep/id.key", "scripts/notes.pem", "build/model.txt"):
        (project.root / name).parent.mkdir(exist_ok=True)
        (project.root / name).write_text(f"AWS_SECRET_ACCESS_KEY={CANARY}\n")
    (project.root / "src/lockstep/old.pkl").write_text(CANARY)
    return project


@pytest.fixture(scope="session")
def image(project, python_image):
    """The image, built by the script that `make image` runs."""
    name = "lockstep-test/app:build"
    environment = project.environment | {"IMAGE": name, "PYTHON_IMAGE": python_image, "AWS_SECRET_ACCESS_KEY": CANARY}
    done = subprocess.run(
        [project.root / "scripts/image", "--network", "host", "--build-arg", f"GITHUB_TOKEN={CANARY}"],
        cwd=project.root, env=environment, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return name


@pytest.fixture(scope="session")
def saved(image, tmp_path_factory):
    """The layers of the image as `docker save` writes them, oldest first: members and content of each."""
    path = tmp_path_factory.mktemp("saved") / "image.tar"
    engine.docker("save", "--output", str(path), image)
    return path


@contextlib.contextmanager
def opened_layers(path):
    """Yield the configuration of a saved image, and a function that opens its layers one by one."""
    with tarfile.open(path) as whole:
        (manifest,) = json.load(whole.extractfile("manifest.json"))

        def layers():
            for name in manifest["Layers"]:
                with tarfile.open(fileobj=io.BytesIO(whole.extractfile(name).read())) as layer:
                    yield layer

        yield json.load(whole.extractfile(manifest["Config"])), layers


@pytest.fixture(scope="session")
def base_layers(python_image):
    """How many layers are of the base."""
    return len(engine.inspect(python_image)["RootFS"]["Layers"])


@pytest.fixture(scope="session")
def rows(project):
    """All test rows, as a program sends them."""
    schema = Schema.from_json(files.read_json(project.root / "models/schema.json"))
    frame = cleaning.with_kinds(parquet.read(project.root / "data/interim/test.parquet"), schema.kinds)
    return schema.objects(frames.rows_of(frame, schema))


@pytest.fixture(scope="session")
def written(project):
    """What reports/predictions.csv says of them, as the app would answer."""
    with (project.root / "reports/predictions.csv").open(encoding="utf-8") as lines:
        return [
            {
                "prediction": line["prediction"],
                "probabilities": {
                    name.removeprefix("probability_"): float(value)
                    for name, value in line.items()
                    if name.startswith("probability_")
                },
            }
            for line in csv.DictReader(lines)
        ]
