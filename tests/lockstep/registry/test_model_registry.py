from dataclasses import replace
from pathlib import Path

import pytest

from lockstep.errors import RegistryError, TrackingError
from lockstep.registry import tracking
from lockstep.registry.history import Event
from lockstep.registry.model_registry import Capabilities, Registry
from tests.lockstep import dagshub_like as fake

TWO = pytest.mark.parametrize("settings", ["local", "dagshub without aliases and stages"], indirect=True)
"""The server that can do the most and the one that can do the least, where what lies between adds nothing."""
ANN = Event(actor="ann", reason="better", git_commit="abc", dvc_lock="def", data_digest="123")


def stages(registry):
    found = registry.client.search_model_versions(f"name='{registry.name}'")
    return {str(version.version): version.current_stage for version in found}


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        ((), Capabilities(True, True, True)),
        (fake.ALIASES, Capabilities(True, False, True)),
        (fake.STAGES, Capabilities(True, True, False)),
        (fake.ALIASES + fake.STAGES, Capabilities(True, False, False)),
        (fake.REGISTRY, Capabilities(False, False, False)),
    ],
)
def test_what_a_server_supports_is_asked_once_and_without_a_trace(settings_for, dagshub_like, refused, expected):
    address, handler = dagshub_like(*refused)
    registry = Registry(tracking.connect(settings_for(MLFLOW_TRACKING_URI=address)), "untouched")
    assert registry.capabilities() == expected
    asked = len(handler.seen)
    assert registry.capabilities() == expected
    assert len(handler.seen) == asked


def test_the_same_digest_is_one_version(registry, register):
    first, second = register("a" * 64), register("b" * 64)
    again = register("a" * 64)
    assert (again, first.version, second.version) == (first, "1", "2")
    assert [version.version for version in registry.versions()] == ["2", "1"]
    assert registry.find("b" * 64) == second == registry.get("2")
    assert registry.find("c" * 64) is None
    assert first.source.endswith("/model")


@TWO
def test_an_attempt_that_died_after_the_model_was_named_goes_on(registry, register):
    registry.client.create_registered_model(registry.name)
    assert register("a" * 64).version == "1"


@TWO
def test_a_digest_is_one_version_also_when_the_answer_was_lost(registry, register, monkeypatch):
    create = registry.client.create_model_version

    def lost(*arguments, **named):
        create(*arguments, **named)
        raise ConnectionResetError("gone")

    with monkeypatch.context() as patch, pytest.raises(ConnectionResetError):
        patch.setattr(registry.client, "create_model_version", lost)
        register("a" * 64)
    assert register("a" * 64).version == "1"
    assert len(registry.versions()) == 1


def test_production_is_nothing_until_promoted_and_never_the_newest(registry, register):
    assert registry.production() is None
    assert registry.versions() == []
    one, _ = register("a"), register("b")
    assert registry.production() is None
    registry.promote("1", ANN)
    register("c")
    assert registry.production() == one


def test_promotion_and_rollback_move_production_and_leave_a_record(registry, register):
    for digest in "abc":
        register(digest)
    for number in "123":
        registry.promote(number, ANN)
    assert registry.rollback(Event(actor="bob", reason="bad")).version == "2"
    assert registry.production().version == "2"
    assert registry.rollback(Event(actor="bob")).version == "1"
    assert registry.production().version == "1"
    with pytest.raises(RegistryError, match="no earlier Production") as caught:
        registry.rollback(Event())
    assert "lockstep promote" in caught.value.hint
    told = [(event.action, event.version, event.previous, event.actor) for event in registry.history()]
    assert told == [
        ("rollback", "1", "2", "bob"),
        ("rollback", "2", "3", "bob"),
        ("promote", "3", "2", "ann"),
        ("promote", "2", "1", "ann"),
        ("promote", "1", "", "ann"),
    ]
    times = [event.at for event in registry.history()]
    assert times == sorted(times, reverse=True)
    assert replace(registry.history()[-1], at="") == replace(ANN, version="1")


def test_the_stage_follows_where_the_server_has_stages(registry, register):
    register("a"), register("b")
    registry.promote("1", ANN)
    registry.promote("2", ANN)
    expected = {"1": "Archived", "2": "Production"} if registry.capabilities().stages else {"1": "None", "2": "None"}
    assert stages(registry) == expected


def test_without_aliases_a_tag_stands_in(registry, register):
    register("a")
    registry.promote("1", ANN)
    registry.set_alias("challenger", "1")
    found = registry.client.get_registered_model(registry.name)
    if registry.capabilities().aliases:
        assert {name: str(number) for name, number in found.aliases.items()} == {"production": "1", "challenger": "1"}
        assert "lockstep.production" not in found.tags
    else:
        assert (found.tags["lockstep.production"], found.tags["lockstep.challenger"]) == ("1", "1")
    assert registry.at("challenger").version == registry.challenger().version == "1"
    assert registry.at("nobody") is None
    for _ in range(2):
        registry.clear_alias("challenger")
        assert (registry.challenger(), registry.production().version) == (None, "1")


@TWO
def test_a_refusal_is_on_record_and_moves_nothing(registry, register):
    register("a"), register("b")
    registry.promote("1", ANN)
    registry.record_refusal("2", Event(actor="ci", reason="accuracy fell", forced=False))
    assert registry.production().version == "1"
    newest = registry.history()[0]
    assert (newest.action, newest.version, newest.previous, newest.reason) == ("refused", "2", "1", "accuracy fell")


@TWO
def test_a_rollback_to_a_deleted_version_is_refused_and_moves_nothing(registry, register):
    register("a"), register("b")
    registry.promote("1", ANN)
    registry.promote("2", ANN)
    registry.client.delete_model_version(registry.name, "1")
    with pytest.raises(RegistryError, match=r"version 1 .* was deleted"):
        registry.rollback(Event())
    assert registry.production().version == "2"
    assert registry.history()[0].action == "promote"


@TWO
def test_a_rollback_leaves_a_version_that_was_deleted_while_it_served(registry, register):
    register("a"), register("b")
    registry.promote("1", ANN)
    registry.promote("2", ANN)
    registry.client.delete_model_version(registry.name, "2")
    assert registry.production() is None
    assert registry.rollback(Event()).version == "1"
    assert registry.production().version == "1"


@pytest.mark.parametrize("version", ["2", "none", "-1", ""])
def test_a_version_that_is_not_there_is_named(local_settings, version):
    registry = Registry(tracking.connect(local_settings), "m")
    with pytest.raises(RegistryError, match="has no version"):
        registry.promote(version, ANN)
    assert registry.history() == []


@TWO
def test_an_interrupted_promotion_is_repaired_by_the_next(registry, register, monkeypatch):
    register("a"), register("b")
    registry.promote("1", ANN)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(registry, "_record_event", lambda event: (_ for _ in ()).throw(KeyboardInterrupt))
        registry.promote("2", ANN)
    assert registry.production().version == "2"
    assert registry.rollback(Event()).version == "1"


@pytest.mark.parametrize("step", ["_record_event", "_set_production"])
@TWO
def test_an_interrupted_rollback_repeated_ends_at_the_same_version(registry, register, monkeypatch, step):
    for number, digest in enumerate("abc", 1):
        register(digest)
        registry.promote(str(number), ANN)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(registry, step, lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        registry.rollback(Event())
    registry.rollback(Event())
    assert registry.production().version == "2"


def test_events_keep_their_order_when_the_clock_goes_back(local_settings, monkeypatch):
    registry = Registry(tracking.connect(local_settings), "m")
    for number, now_s in (("1", 2_000), ("2", 2_000), ("3", 1_000)):
        monkeypatch.setattr("lockstep.registry.model_registry.time.time", lambda now_s=now_s: now_s)
        registry.record_refusal(number, Event())
    assert [event.version for event in registry.history()] == ["3", "2", "1"]


def test_a_call_that_the_server_does_not_know_is_told_as_that(settings_for, dagshub_like):
    address, _ = dagshub_like(*fake.REGISTRY)
    registry = Registry(tracking.connect(settings_for(MLFLOW_TRACKING_URI=address)), "m")
    with pytest.raises(TrackingError, match="does not know this call") as caught:
        registry.record_refusal("1", Event())
    assert "lockstep doctor" in caught.value.hint


def test_a_download_is_whole_and_holds_three_files(registry, register, bundle, tmp_path):
    version = register("a")
    to = tmp_path / "a cache" / version.sha256
    assert registry.download(version, to) == to
    assert {file.name: file.read_bytes() for file in to.iterdir()} == {
        file.name: file.read_bytes() for file in bundle.iterdir()
    }
    (to / "model.skops").write_bytes(b"damaged")
    registry.download(version, to)
    assert (to / "model.skops").read_bytes() == (bundle / "model.skops").read_bytes()
    assert list(to.parent.iterdir()) == [to]


def test_a_download_holds_the_profile_of_a_version_that_says_so(registry, bundle, tmp_path):
    (bundle / "profile.json").write_bytes(b"a profile")
    run_id, artifact_uri = tracking.log_run(registry.client, registry.name, tracking.Run("run", model=bundle))
    tags = {"sha256": "a", "files": "model.skops schema.json smoke.json profile.json ../other.json"}
    to = registry.download(registry.create(run_id, artifact_uri, tags), tmp_path / "to")

    assert sorted(file.name for file in to.iterdir()) == ["model.skops", "profile.json", "schema.json", "smoke.json"]
    (to / "profile.json").write_bytes(b"damaged")
    registry.download(registry.get("1"), to)
    assert (to / "profile.json").read_bytes() == b"a profile"


@TWO
def test_a_download_that_fails_leaves_nothing(registry, register, bundle, tmp_path):
    (bundle / "smoke.json").unlink()
    version = register("a")
    with pytest.raises(RegistryError, match=r"files of .* version 1 are gone from .*: smoke\.json"):
        registry.download(version, tmp_path / "cache" / "a")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_file_address_is_downloaded_too(local_settings, bundle, tmp_path):
    registry = Registry(tracking.connect(local_settings), "m")
    run_id, artifact_uri = tracking.log_run(registry.client, "m", tracking.Run("r", model=bundle))
    version = registry.create(run_id, Path(artifact_uri).as_uri(), {"sha256": "a"})
    assert version.source.startswith("file:///")
    assert (registry.download(version, tmp_path / "to") / "schema.json").is_file()


def test_a_lost_server_is_not_an_unset_alias(settings_for, mlflow_server, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with fake.serving(fake.proxy(mlflow_server)) as address:
        registry = Registry(tracking.connect(settings_for(MLFLOW_TRACKING_URI=address)), "lost")
        assert registry.production() is None
    fresh = Registry(registry.client, "lost")
    for call in (registry.production, registry.history, registry.versions, fresh.production, fresh.capabilities):
        with pytest.raises(TrackingError, match="cannot"):
            call()
