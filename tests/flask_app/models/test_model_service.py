import json
import logging
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from flask_app import create_app
from flask_app.models import cache as model_cache
from flask_app.models import loading, model_service
from flask_app.models.cache import Identity, ModelCache
from flask_app.models.model_service import ModelService
from lockstep.config.settings import Settings
from lockstep.errors import ConfigError, RegistryError, TrackingError
from lockstep.inference.predictor import digest
from lockstep.registry import remote
from tests.flask_app.standins import FolderRegistry, example


@pytest.fixture
def service(settings, registry, bundles):
    """A service that serves version 1."""
    registry.add("1", bundles["binary"])
    made = ModelService.from_settings(settings, registry.connect)
    made.look()
    return made


@pytest.fixture
def restart(settings):
    """Return a function that makes a service anew on the same machine."""
    return lambda registry, **changes: ModelService.from_settings(
        type(settings)(**{**settings.__dict__, **changes}), registry.connect
    )


def cached(settings):
    return {path.name for path in Path(settings.state, "models").iterdir() if path.is_dir()}


def wait_for(condition, most_s=10):
    end = time.monotonic() + most_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_promotion_and_rollback_are_followed_without_a_second_download(service, registry, bundles):
    first = service.require()
    registry.add("2", bundles["tree"])
    service.look()
    assert service.require().version == "2"
    registry.current = "1"
    service.look()
    assert service.require().identity == first.identity
    assert registry.downloads == ["1", "2"]


def test_nothing_is_loaded_again_while_nothing_moves(service, registry):
    before = service.require()
    service.look()
    assert service.require() is before


def test_the_same_bytes_under_another_version_are_not_downloaded(service, registry, bundles):
    registry.add("2", bundles["binary"])
    service.look()
    assert (service.require().version, registry.downloads) == ("2", ["1"])


def truncated(folder):
    path = folder / "model.skops"
    path.write_bytes(path.read_bytes()[:-100])


def pickled(folder):
    canary = folder / "canary"

    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(canary),))

    (folder / "model.skops").write_bytes(pickle.dumps(Trap()))


def unlisted(folder):
    path = folder / "model.skops"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["schema.json"] = members["schema.json"].replace(b'"LogisticRegression"', b'"SGDClassifier"')
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def other_answers(folder):
    path = folder / "smoke.json"
    smoke = json.loads(path.read_text())
    smoke["answers"][0]["prediction"] = "top"
    path.write_text(json.dumps(smoke))


def no_schema(folder):
    (folder / "schema.json").write_text("{}")


def incomplete(folder):
    (folder / "smoke.json").unlink()


DAMAGES = {
    "C12 truncated": (truncated, "right", "skops"),
    "S11 pickle": (pickled, "right", "not a skops file"),
    "S12 unlisted type": (unlisted, "right", "allow-list"),
    "other answers": (other_answers, "right", "otherwise"),
    "no schema": (no_schema, "right", "schema.json"),
    "incomplete": (incomplete, "0" * 64, "smoke.json"),
    "S14 other digest": (lambda folder: None, "0" * 64, "digest"),
    "S14 no digest": (lambda folder: None, "", "no sha256"),
    "S10 digest that is a path": (lambda folder: None, "../" * 21 + "x", "no sha256"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_version_is_refused_once(service, registry, settings, tmp_path, bundles, caplog, case):
    damage, sha256, reason = DAMAGES[case]
    before = service.require()
    folder = shutil.copytree(bundles["tree" if "unlisted type" not in case else "binary"], tmp_path / "damaged")
    damage(folder)
    registry.add("2", folder, digest(folder) if sha256 == "right" else sha256)
    caplog.clear()
    for _ in range(3):
        service.look()
    assert service.require() is before
    assert service.fault.startswith("version 2 was refused: ")
    assert reason in service.fault
    assert "/" not in service.fault.replace("the download/", "")
    assert registry.downloads.count("2") == (0 if "no digest" in case or "path" in case else 1)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert not (folder / "canary").exists()
    assert cached(settings) == {before.identity.sha256}
    registry.current = "1"
    service.look()
    assert (service.fault, service.registry_state()) == (None, "reachable")


def test_a_refused_version_gets_another_chance_later(service, registry, bundles, monkeypatch):
    monkeypatch.setattr(loading, "REFUSED_S", 0.0)
    monkeypatch.setattr(model_cache, "REFUSED_S", 0.0)
    registry.add("2", bundles["binary"], digest(bundles["tree"]))
    service.look()
    assert "refused" in service.fault
    registry.folders["2"] = bundles["tree"]
    service.look()
    assert (service.require().version, service.fault) == ("2", None)


def test_a_version_that_lacks_files_is_not_fetched_on_every_look(service, registry, bundles, monkeypatch):
    def download(version, to):
        registry.downloads.append(version.version)
        raise RegistryError("cannot download model.skops", "register it again")

    monkeypatch.setattr(registry, "download", download)
    registry.add("2", bundles["tree"])
    service.look()
    service.look()
    assert registry.downloads == ["1", "2"]


FAULTS = [
    (TrackingError("http://inside:5000 is down", "x"), "the model registry is out of reach", "out of reach"),
    (RegistryError("version 3 was deleted", "x"), "version 3 was deleted", "reachable"),
    (RegistryError("cannot read '/srv/secret/place'", "x"), "cannot read 'its file'", "reachable"),
    (OSError(28, "No space left on device", "/srv/x"), "this machine fails: No space left on device", "out of reach"),
    (ValueError("<html>"), "unexpected ValueError while looking at the registry", "out of reach"),
]


@pytest.mark.parametrize(("error", "fault", "state"), FAULTS)
def test_a_registry_that_fails_is_noted_once_and_survived(service, registry, caplog, error, fault, state):
    caplog.set_level(logging.INFO)
    before = service.require()
    caplog.clear()
    registry.fault = error
    for _ in range(3):
        service.look()
    assert (service.require(), service.fault, service.registry_state()) == (before, fault, state)
    assert len(caplog.records) == 1
    registry.fault = None
    service.look()
    assert (service.fault, service.registry_state()) == (None, "reachable")
    assert caplog.records[-1].getMessage() == "following Production again"


def test_a_connection_that_fails_is_made_again(settings, registry, bundles):
    registry.add("1", bundles["binary"])
    attempts = []

    def connect():
        attempts.append(1)
        if len(attempts) == 1:
            raise TrackingError("down", "start it")
        return registry

    service = ModelService.from_settings(settings, connect)
    service.look()
    assert (service.serving(), service.registry_state()) == (None, "out of reach")
    service.look()
    service.look()
    assert (service.require().version, len(attempts)) == ("1", 2)


def test_a_deleted_alias_keeps_the_last_and_warns(service, registry):
    before = service.require()
    registry.current = None
    service.look()
    assert service.require() is before
    assert service.fault == "no version of demo is Production"


def test_no_production_at_all_then_one(settings, registry, bundles):
    service = ModelService.from_settings(settings, registry.connect)
    assert service.registry_state() == "not asked yet"
    service.look()
    assert (service.serving(), service.registry_state()) == (None, "reachable")
    registry.add("1", bundles["binary"])
    service.look()
    assert service.require().version == "1"


def test_the_version_that_served_last_serves_while_the_registry_is_away(service, registry, restart):
    registry.go_down()
    again = restart(registry)
    again.look()
    assert again.require().identity == service.require().identity
    assert again.fault == "the model registry is out of reach"


def test_the_last_version_goes_before_the_baked_one(service, registry, restart, bundles):
    registry.go_down()
    again = restart(registry, baked_model=str(bundles["tree"]))
    again.look()
    assert again.require().version == "1"


@pytest.mark.parametrize("note", ["", "[]", '{"name": "demo"}', '{"name": "demo", "version": "1", "sha256": "../x"}'])
def test_a_damaged_note_is_passed_over(service, registry, restart, settings, bundles, note):
    Path(settings.state, "models", "demo.json").write_text(note)
    registry.go_down()
    again = restart(registry, baked_model=str(bundles["tree"]))
    again.look()
    assert again.require().version == "baked"


ORIGINS = [
    ({}, "baked"),
    ({"version": "7"}, "baked"),
    ({"version": "7", "sha256": "0" * 64}, "baked"),
    ({"version": "7", "sha256": "right"}, "7"),
    ([], "baked"),
]


@pytest.mark.parametrize(("origin", "version"), ORIGINS)
def test_the_baked_model_serves_where_nothing_else_can(registry, restart, tmp_path, bundles, origin, version):
    baked = shutil.copytree(bundles["binary"], tmp_path / "baked")
    if origin == {"version": "7", "sha256": "right"}:
        origin = {"version": "7", "sha256": digest(baked)}
    if origin != {}:
        (baked / "registered.json").write_text(json.dumps(origin))
    registry.go_down()
    service = restart(registry, baked_model=str(baked))
    service.look()
    assert (service.require().name, service.require().version) == ("demo", version)


def test_a_damaged_baked_model_leaves_the_app_waiting(registry, restart, tmp_path, caplog):
    registry.go_down()
    service = restart(registry, baked_model=str(tmp_path))
    service.look()
    service.look()
    assert service.serving() is None
    assert len([record for record in caplog.records if "baked" in record.getMessage()]) == 1


def test_a_damaged_cache_is_fetched_again(service, registry, restart, settings):
    sha256 = service.require().identity.sha256
    truncated(Path(settings.state, "models", sha256))
    again = restart(registry)
    again.look()
    assert again.require().version == "1"
    assert registry.downloads == ["1", "1"]
    assert ModelCache(Path(settings.state, "models")).load(sha256)


def test_the_cache_keeps_the_last_used_few(settings, registry, bundles, monkeypatch):
    monkeypatch.setattr(model_cache, "KEPT", 2)
    service = ModelService.from_settings(settings, registry.connect)
    stale = Path(settings.state, "models", ".partial-killed")
    stale.mkdir(parents=True)
    os.utime(stale, (1, 1))
    live = stale.with_name(".partial-of-another-worker")
    live.mkdir()
    for version, task in enumerate(("binary", "multiclass", "tree")):
        registry.add(str(version), bundles[task])
        service.look()
        os.utime(stale.parent / digest(bundles[task]), (1000 + version, 1000 + version))
    assert cached(settings) == {digest(bundles["multiclass"]), digest(bundles["tree"]), live.name}


def test_two_workers_may_fetch_the_same_version(service, registry, settings, bundles):
    cache = ModelCache(Path(settings.state, "models"))
    sha256 = service.require().identity.sha256
    assert cache.fetch(sha256, lambda folder: registry.download(registry.versions["1"], folder))
    assert cached(settings) == {sha256}


def test_two_workers_refuse_the_same_version_after_one_download(service, registry, restart, bundles):
    another = restart(registry)
    another.look()
    registry.add("2", bundles["binary"], digest(bundles["tree"]))
    service.look()
    another.look()
    assert service.fault == another.fault
    assert registry.downloads == ["1", "2"]


def test_a_full_disk_is_a_fault_and_nothing_half_made_stays(service, registry, settings, bundles, monkeypatch):
    def download(version, to):
        to.mkdir()
        (to / "model.skops").write_bytes(b"half")
        raise OSError(28, "No space left on device", str(to))

    before = cached(settings)
    monkeypatch.setattr(registry, "download", download)
    registry.add("2", bundles["tree"])
    service.look()
    assert service.require().version == "1"
    assert cached(settings) == before


def test_names_of_models_cannot_leave_the_folder(tmp_path):
    cache = ModelCache(tmp_path / "models")
    identity = Identity("../../etc/x", "1", "0" * 64)
    cache.remember(identity)
    assert cache.remembered("../../etc/x") == identity
    assert [path.parent for path in tmp_path.rglob("*.json")] == [tmp_path / "models"]


def test_a_promotion_is_noticed_within_five_seconds(service, registry, bundles):
    service.start()
    try:
        registry.add("2", bundles["tree"])
        started = time.monotonic()
        wait_for(lambda: service.require().version == "2", 5)
        assert time.monotonic() - started < 5
    finally:
        service.stop()


def test_a_registry_that_hangs_at_start_holds_two_threads_and_the_last_model_serves(
    service, registry, restart, monkeypatch
):
    monkeypatch.setattr(model_service, "PATIENCE_S", 0.1)
    monkeypatch.setattr(model_service, "SILENT_S", -2.0)
    registry.answering.clear()
    before = threading.active_count()
    again = restart(registry)
    again.start()
    try:
        wait_for(lambda: again.serving() is not None)
        assert again.require().version == "1"
        wait_for(lambda: threading.active_count() <= before + 2)  # Production and challenger
        assert (registry.calls, again.registry_state()) == (2, "silent")
    finally:
        again.stop()
        registry.answering.set()
        wait_for(lambda: threading.active_count() == before)
    assert again.registry_state() in ("reachable", "silent")


def test_a_start_waits_no_longer_than_it_is_of_use(settings, registry):
    registry.go_down()
    service = ModelService.from_settings(settings, registry.connect)
    started = time.monotonic()
    service.start()
    service.wait()
    service.stop()
    assert time.monotonic() - started < 3
    assert service.fault == "the model registry is out of reach"


def test_a_late_fallback_never_replaces_production(service, registry, restart, bundles):
    registry.add("2", bundles["tree"])
    again = restart(registry)
    again.look()
    serving = again.require()
    again._fall_back()
    assert (again.require() is serving, serving.version) == (True, "2")


def test_every_answer_of_a_batch_is_of_one_version_while_versions_move(app, registry, bundles):
    service, client, row = model_service.default(app), app.test_client(), example(app)
    expected = {"1": service.require().predictor.answers([row])[0]}
    registry.add("2", bundles["tree"])
    service.look()
    expected["2"] = service.require().predictor.answers([row])[0]
    assert expected["1"] != expected["2"]
    stop = threading.Event()

    def move():
        while not stop.is_set():
            registry.current = "1" if registry.current == "2" else "2"
            service.look()

    mover = threading.Thread(target=move)
    mover.start()
    seen = set()
    try:
        for _ in range(200):
            content = client.post("/predict", json={"rows": [row] * 3}).get_json()
            version = content["model"]["version"]
            seen.add(version)
            for answer in content["predictions"]:
                assert {name: answer[name] for name in ("prediction", "probabilities")} == expected[version]
    finally:
        stop.set()
        mover.join()
    assert seen == {"1", "2"}


def test_another_schema_changes_the_form(client, app, registry, bundles):
    assert 'name="size"' in client.get("/").text
    registry.add("2", bundles["text"])
    model_service.default(app).look()
    assert 'name="review"' in client.get("/").text


def test_a_name_is_needed(settings, registry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nameless = type(settings)(**{**settings.__dict__, "model_name": ""})
    with pytest.raises(ConfigError, match=r"params\.yaml"):
        create_app(nameless, registry.connect)


def test_the_registry_of_the_settings(settings, monkeypatch):
    monkeypatch.setattr("lockstep.registry.tracking.connect", lambda given: ("client of", given))
    registry = remote.connect(settings, "demo")
    assert (registry.name, registry.client) == ("demo", ("client of", settings))


def test_import_and_build_cost_no_mlflow(bundles, tmp_path):
    code = (
        "import sys, flask_app, flask_app.wsgi; from lockstep.config.settings import Settings;"
        "flask_app.create_app(Settings.read({'LOCKSTEP_MODEL_NAME': 'm', 'LOCKSTEP_STATE': sys.argv[1]}));"
        "print('mlflow' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "state")]
    done = subprocess.run(command, env={"PYTHONPATH": "src:."}, check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
    assert not (tmp_path / "state").exists()


def test_build_reads_the_environment_and_starts_the_watch(bundles, tmp_path, monkeypatch):
    from flask_app import wsgi

    registry = FolderRegistry("named")
    registry.add("4", bundles["binary"])
    monkeypatch.setenv("LOCKSTEP_MODEL_NAME", "named")
    monkeypatch.setenv("LOCKSTEP_STATE", str(tmp_path))
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    monkeypatch.setattr(remote, "connect", lambda settings, name: registry.connect())
    monkeypatch.setattr("lockstep.runtime.logger.start", lambda level: None)
    made = []
    monkeypatch.setattr(wsgi, "create_app", lambda settings: made.append(create_app(settings)) or made[0])
    wsgi.build()
    service = model_service.default(made[0])
    try:
        assert service.require().version == "4"
    finally:
        service.stop()


@pytest.mark.parametrize(
    ("given", "waits"),
    [
        ({"LOCKSTEP_BAKED_MODEL": "model"}, False),
        ({}, True),
        ({"LOCKSTEP_BAKED_MODEL": "model", "MLFLOW_TRACKING_URI": "http://127.0.0.1:5001"}, True),
        ({"LOCKSTEP_BAKED_MODEL": "model", "DAGSHUB_REPO": "a/b", "DAGSHUB_USER_TOKEN": "c"}, True),
    ],
)
def test_a_start_waits_for_a_registry_that_there_may_be(tmp_path, monkeypatch, given, waits):
    monkeypatch.chdir(tmp_path)
    given |= {"LOCKSTEP_STATE": "state"}
    assert (model_service.patience_s(Settings.read(given)) > 0) is waits
    (tmp_path / "state").mkdir()
    (tmp_path / "state/mlflow.db").touch()
    assert model_service.patience_s(Settings.read(given)) > 0


def test_where_no_registry_is_the_baked_model_serves_at_once(registry, bundles, tmp_path, monkeypatch):
    monkeypatch.setattr(model_service, "PATIENCE_S", 3600.0)
    registry.answering.clear()
    given = {"LOCKSTEP_BAKED_MODEL": str(bundles["binary"]), "LOCKSTEP_STATE": str(tmp_path / "state")}
    service = ModelService.from_settings(Settings.read(given | {"LOCKSTEP_MODEL_NAME": "demo"}), registry.connect)
    service.start()
    try:
        service.wait()
        assert service.require().version == "baked"
    finally:
        service.stop()
        registry.answering.set()
