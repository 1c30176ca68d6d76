import shutil
import threading
import time
from dataclasses import replace

import pytest
from werkzeug.exceptions import NotFound, ServiceUnavailable, UnprocessableEntity

from flask_app import create_app
from flask_app.models import loading, model_service
from flask_app.models.model_service import ModelService
from lockstep.errors import RegistryError, TrackingError
from lockstep.inference.predictor import digest
from lockstep.registry import remote
from tests.flask_app.standins import FolderRegistry


class Asked(FolderRegistry):
    """A registry that counts what it is asked for, and knows what it has not."""

    def get(self, version):
        self.calls += 1
        if self.fault:
            raise self.fault
        if version not in self.versions:
            raise RegistryError(f"demo has no version {version!r}", "look")
        return self.versions[version]


@pytest.fixture
def registry(bundles):
    made = Asked()
    for version, bundle in enumerate(("binary", "tree", "multiclass", "text"), 1):
        made.add(str(version), bundles[bundle], promote=version == 1)
    return made


@pytest.fixture
def service(settings, registry):
    made = ModelService.from_settings(settings, registry.connect)
    made.look()
    registry.calls = 0
    return made


def test_the_version_in_production_is_not_loaded_again(service, registry):
    assert service.pinned("1") == replace(service.require(), role="pinned")
    assert registry.calls == 0


def test_other_versions_are_loaded_once_and_a_few_stay(service, registry):
    second = service.pinned("2")
    assert (second.version, service.pinned("2") is second, service.require().version) == ("2", True, "1")
    assert registry.downloads == ["1", "2"]
    service.pinned("3")
    service.pinned("2")
    service.pinned("4")
    assert service.pinned("2") is second
    assert list(service._pinned._kept) == ["4", "2"]
    service.pinned("3")
    assert registry.downloads == ["1", "2", "3", "4"]
    assert registry.calls == 3


@pytest.mark.parametrize("number", ["9", "0", "-1", "", "production", "1 ", "²", "../1", "9" * 5000])
def test_an_unknown_version_is_refused_and_named(service, number):
    with pytest.raises(UnprocessableEntity) as raised:
        service.pinned(number)
    assert raised.value.description.startswith('"version": demo has no version ')
    assert len(raised.value.description) < 200


def test_an_unknown_version_is_asked_for_once_in_a_while(service, registry, bundles):
    for _ in range(3):
        with pytest.raises(UnprocessableEntity):
            service.pinned("9")
    assert registry.calls == 1
    registry.add("9", bundles["tree"], promote=False)
    service._pinned._unknown._until.clear()
    assert service.pinned("9").version == "9"


def test_a_version_that_must_not_serve_is_refused_here_too(service, registry, bundles):
    registry.add("9", bundles["tree"], digest(bundles["binary"])[:-1] + "x", promote=False)
    with pytest.raises(UnprocessableEntity, match="version 9 was refused: it carries no sha256"):
        service.pinned("9")


def test_none_is_loaded_beside_production_if_so_set(settings, registry):
    service = ModelService.from_settings(type(settings)(**{**settings.__dict__, "pinned": 0}), registry.connect)
    service.look()
    assert service.pinned("1").version == "1"
    with pytest.raises(UnprocessableEntity):
        service.pinned("2")


def test_a_registry_that_is_away_is_no_fault_of_the_request(service, registry):
    service.pinned("2")
    registry.fault = TrackingError("https://user:hunter2@inside is down")
    assert service.pinned("2").version == "2"
    with pytest.raises(ServiceUnavailable) as raised:
        service.pinned("3")
    assert (raised.value.description, raised.value.retry_after) == ("the model registry is out of reach.", 5)


def test_requests_for_one_version_load_it_once_and_do_not_wait_for_ever(service, registry, monkeypatch):
    monkeypatch.setattr(loading, "QUEUE_S", 0.1)
    entered, go = threading.Event(), threading.Event()
    download = registry.download

    def slow(version, to):
        entered.set()
        go.wait()
        return download(version, to)

    monkeypatch.setattr(registry, "download", slow)
    first = threading.Thread(target=service.pinned, args=("2",))
    first.start()
    entered.wait()
    began = time.monotonic()
    with pytest.raises(ServiceUnavailable):
        service.pinned("3")
    assert time.monotonic() - began < 4
    go.set()
    first.join()
    assert service.pinned("2").version == "2"
    assert registry.downloads == ["1", "2"]


@pytest.fixture
def two(settings, bundles, monkeypatch):
    """An app that serves two models."""
    registries = {name: FolderRegistry(name) for name in ("demo", "reviews")}
    registries["demo"].add("1", bundles["binary"])
    registries["reviews"].add("7", bundles["text"])
    monkeypatch.setattr(remote, "connect", lambda settings, name: registries[name].connect())
    app = create_app(type(settings)(**{**settings.__dict__, "model_name": "demo, reviews"}))
    for service in model_service.all_of(app):
        service.look()
    return app


def test_several_models_are_served_side_by_side(two):
    assert model_service.default(two).require().name == "demo"
    assert model_service.named(two, "reviews").require().version == "7"
    with pytest.raises(NotFound):
        model_service.named(two, "other")


def test_each_model_is_remembered_and_none_is_pruned(two, bundles, monkeypatch):
    monkeypatch.setattr("flask_app.models.cache.KEPT", 1)
    service = model_service.default(two)
    registry = service._connect()
    registry.add("2", bundles["tree"])
    service.look()
    cache = service._cache
    assert cache.load(digest(bundles["text"]))
    assert cache.load(digest(bundles["tree"]))


def test_what_came_with_the_image_is_not_fetched(settings, registry, bundles):
    service = ModelService.from_settings(replace(settings, baked_model=str(bundles["binary"])), registry.connect)
    service.look()
    assert (service.require().version, registry.downloads) == ("1", [])
    registry.current = "3"
    service.look()
    assert (service.require().version, registry.downloads) == ("3", ["3"])


def test_a_baked_model_that_was_damaged_is_fetched(settings, registry, bundles, tmp_path):
    baked = shutil.copytree(bundles["binary"], tmp_path / "baked")
    (baked / "model.skops").write_bytes(b"")
    service = ModelService.from_settings(replace(settings, baked_model=str(baked)), registry.connect)
    service.look()
    assert (service.require().version, registry.downloads) == ("1", ["1"])
