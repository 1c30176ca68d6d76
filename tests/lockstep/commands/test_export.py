import argparse
import json
import shutil

import pytest

from flask_app.models.loading import load_baked
from lockstep import files
from lockstep.commands import export
from lockstep.config import use_cases
from lockstep.errors import ArtifactError, RegistryError
from lockstep.features import derived
from lockstep.inference.predictor import digest
from lockstep.lifecycle import export as baked
from tests.flask_app.standins import make_bundle
from tests.root import EXAMPLE
from tests.serving.real import Store


def arguments(*given):
    parser = argparse.ArgumentParser()
    export.add(parser)
    return parser.parse_args([str(each) for each in given])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle("binary", tmp_path_factory.mktemp("bundles") / "demo")


@pytest.fixture
def settings(local_settings):
    return local_settings.__class__(**local_settings.__dict__ | {"model_name": "demo"})


@pytest.fixture
def store(settings, bundle):
    made = Store(settings, "demo")
    made.promote(made.register(bundle))
    return made


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder whose params.yaml names the model."""
    text = EXAMPLE.read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text.replace("model_name: breast-cancer", "model_name: demo"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_production_comes_with_a_note_that_leads_back(store, settings, bundle, tmp_path, capsys):
    version = store.registry.production()
    store.registry.tag(version, {"git_commit": "0123abc", "dvc_lock": "d" * 64, "data_sha256": "e" * 64})
    folder = tmp_path / "build/model"
    assert export.run(arguments(folder, "--json"), settings) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == files.read_json(folder / "registered.json")
    assert (told["model"], told["version"], told["sha256"]) == ("demo", "1", digest(bundle))
    assert (told["git_commit"], told["dvc_lock"], told["data_sha256"]) == ("0123abc", "d" * 64, "e" * 64)
    assert digest(folder) == digest(bundle)
    assert load_baked(folder, "demo", tmp_path / "spare").version == "1"


def test_a_second_export_takes_the_place_of_the_first_and_of_nothing_else(store, settings, tmp_path):
    folder = tmp_path / "model"
    assert export.run(arguments(folder), settings) == 0
    store.promote(store.register(make_bundle("binary", tmp_path / "tree", "decision_tree")))
    assert export.run(arguments(folder), settings) == 0
    assert files.read_json(folder / "registered.json")["version"] == "2"
    assert export.run(arguments(folder, "--version", "1"), settings) == 0
    assert files.read_json(folder / "registered.json")["version"] == "1"
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thesis.txt").write_text("years")
    with pytest.raises(ArtifactError, match="holds other files"):
        export.run(arguments(tmp_path / "home"), settings)
    assert (tmp_path / "home/thesis.txt").read_text() == "years"


def test_without_production_nothing_is_exported(settings, bundle, tmp_path):
    Store(settings, "demo").register(bundle)
    with pytest.raises(RegistryError, match="demo has nothing in Production"):
        export.run(arguments(tmp_path / "model"), settings)
    assert not (tmp_path / "model").exists()


def test_a_checked_folder_has_its_compiled_form(store, settings, project):
    export.run(arguments(project / "model"), settings)
    assert baked.main(["model"]) == 0
    assert [path.suffix for path in (project / "model").glob("compiled-*.npz")] == [".npz"]


def test_a_folder_that_must_not_be_baked_is_refused(store, settings, project):
    with pytest.raises(ArtifactError, match="holds no exported model"):
        baked.check(project / "nothing", "demo")
    export.run(arguments(project / "model"), settings)
    shutil.copytree(project / "model", project / "changed")
    (project / "changed/smoke.json").write_text("{}")
    with pytest.raises(ArtifactError, match="has not the digest"):
        baked.check(project / "changed", "demo")
    with pytest.raises(ArtifactError, match=r"holds the model 'demo', and not 'other'"):
        baked.check(project / "model", "other")


@pytest.mark.long("trains two models")
def test_the_models_of_use_cases_lie_below_that_of_the_root(store, settings, project, tmp_path):
    export.run(arguments(project / "model"), settings)
    export.run(arguments(project / "model/usecases/churn"), settings)
    with pytest.raises(ArtifactError, match=r"usecases/churn holds the model 'demo', and not 'churn'"):
        baked.main(["model"])
    folder = use_cases.bundle_folder(project / "model", "churn")
    assert folder == project / "model/usecases/churn"
    with pytest.raises(ArtifactError, match="it is of the model 'demo' and not of 'churn'"):
        load_baked(folder, "churn", tmp_path / "spare")
    note = files.read_json(folder / "registered.json")
    (folder / "registered.json").write_text(json.dumps(note | {"model": "churn"}))
    assert baked.main(["model"]) == 0
    assert load_baked(folder, "churn", tmp_path / "spare").name == "churn"
    assert use_cases.bundle_folder(project / "model", "demo") == project / "model"


def test_the_code_of_derived_columns_comes_from_the_project_alone(store, settings, project, capsys):
    (project / "usecases/churn").mkdir(parents=True)
    texts = {
        "features.py": "def a(rows): ...\n",
        "usecases/churn/features.py": "b = 2\n",
        "usecases/churn/params.yaml": "",
    }
    for name, text in texts.items():
        (project / name).write_text(text)
    assert export.run(arguments(project / "build"), settings) == 0
    (project / "build/features" / f"{'0' * 64}.py").write_text("an older export\n")
    assert export.run(arguments(project / "build"), settings) == 0
    exported = {path.stem: path.read_text() for path in (project / "build/features").iterdir()}
    assert exported == {files.sha256_bytes(text.encode()): text for text in ("def a(rows): ...\n", "b = 2\n")}
    (project / "features.py").unlink()
    (project / ".lockstep").mkdir(exist_ok=True)
    (project / "build/features").rename(project / ".lockstep/features")
    assert list(derived.load(files.sha256_bytes(b"def a(rows): ...\n"))) == ["a"]
