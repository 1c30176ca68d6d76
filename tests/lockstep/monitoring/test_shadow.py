import dataclasses
import shutil
import threading

import msgspec
import pytest

from lockstep.config.settings import Settings
from lockstep.errors import ArtifactError, TrackingError
from lockstep.inference.predictor import Predictor, digest
from lockstep.monitoring import shadow
from lockstep.monitoring.label_windows import shadow_id
from lockstep.monitoring.shadow import Shadow
from lockstep.prediction_log.records import Answer, Label
from tests.flask_app.standins import FolderRegistry, make_bundle


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    root = tmp_path_factory.mktemp("bundles")
    made = {name: make_bundle(task, root / name, kind) for name, task, kind in BUNDLES}
    made["broken"] = shutil.copytree(made["tree"], root / "broken")
    (made["broken"] / "smoke.json").write_text('{"rows": [], "answers": [1]}')
    return made


BUNDLES = [("binary", "binary", None), ("tree", "binary", "decision_tree"), ("text", "text", None)]


@pytest.fixture
def registry(bundles):
    made = FolderRegistry()
    made.add("1", bundles["binary"])
    made.add("2", bundles["tree"], promote=False)
    made.tried = "2"
    return made


@pytest.fixture
def made(registry, tmp_path):
    return Shadow(tmp_path, ["demo"], lambda name: registry, hashed=False)


def asked(bundle, count=3, **changes):
    """Return a record as a worker writes it, of a bundle's own smoke rows."""
    predictor = Predictor.load(bundle)
    example = [column.example for column in predictor.schema.columns]
    rows = [list(example) for _ in range(count)]
    answers = predictor.predict(predictor.schema.check(predictor.schema.objects(map(tuple, rows))))
    ids = [f"{number:032x}" for number in range(count)]
    record = Answer(5, "demo", "1", "production", "k", 9, ids, rows, answers.values, answers.shares)
    return msgspec.structs.replace(record, **changes)


def test_the_challenger_answers_what_production_was_asked(made, bundles):
    made.follow()
    record = asked(bundles["binary"])
    (answer,) = made.answers([record, Label(1, "e", "x", "top", "api")])
    expected = Predictor.load(bundles["tree"])
    rows = expected.schema.check(expected.schema.objects(map(tuple, record.rows)))
    assert (answer.values, answer.shares) == (expected.predict(rows).values, expected.predict(rows).shares)
    assert (answer.version, answer.variant, answer.at_us, answer.key, answer.rows) == ("2", "shadow", 5, "k", None)
    assert answer.ids == [shadow_id(own, "2") for own in record.ids]
    assert made.answers([record])[0].ids == answer.ids


OTHERS = {
    "pinned": {"variant": "pinned"},
    "a challenger's": {"variant": "challenger"},
    "of another version": {"version": "7"},
    "of another model": {"model": "other"},
    "without rows": {"rows": None},
}


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS)
def test_what_is_not_its_business(made, bundles, changes):
    made.follow()
    assert made.answers([asked(bundles["binary"], **changes)]) == []


def test_rows_that_the_challenger_refuses_are_left_out(made, bundles):
    made.follow()
    record = asked(bundles["binary"])
    place = 3
    record.rows[1] = [*record.rows[1][:place], 5, *record.rows[1][place + 1 :]]
    (answer,) = made.answers([record])
    assert answer.ids == [shadow_id(record.ids[at], "2") for at in (0, 2)]
    record.rows = [record.rows[1]] * 3
    assert made.answers([record]) == []


def test_columns_in_another_order_find_their_places(made, bundles, monkeypatch):
    made.follow()
    record = asked(bundles["binary"])
    (before,) = made.answers([record])
    pair = made._pairs["demo"]
    turned = dataclasses.replace(pair.columns, columns=pair.columns.columns[::-1])
    made._pairs["demo"] = dataclasses.replace(pair, columns=turned)
    record.rows = [row[::-1] for row in record.rows]
    assert made.answers([record])[0].values == before.values


def test_it_comes_and_goes_with_the_alias(made, registry, bundles, tmp_path):
    record = asked(bundles["binary"])
    assert made.answers([record]) == []
    made.follow()
    assert len(made.answers([record])) == 1
    assert {path.name for path in (tmp_path / "shadow").iterdir() if path.is_dir()} == {
        registry.versions[number].sha256 for number in "12"
    }
    downloads = len(registry.downloads)
    made.follow()
    assert len(registry.downloads) == downloads
    registry.tried = None
    made.follow()
    assert made.answers([record]) == []
    assert not [path for path in (tmp_path / "shadow").iterdir() if path.is_dir()]
    registry.tried = "1"
    made.follow()
    assert made.answers([record]) == []


def test_while_the_registry_is_away_it_goes_on(made, registry, bundles):
    made.follow()
    registry.go_down()
    made.follow()
    assert len(made.answers([asked(bundles["binary"])])) == 1


def test_a_registry_without_an_answer_is_told_once(made, registry, caplog, monkeypatch):
    caplog.set_level("INFO")

    def failing():
        raise TrackingError("no answer")

    monkeypatch.setattr(registry, "challenger", failing)
    for _ in range(3):
        made.follow()
    assert caplog.text.count("does not say who is the challenger: no answer") == 1


def test_c12_a_refused_challenger_is_told_once_and_not_fetched_again(made, registry, bundles, caplog):
    registry.add("3", bundles["broken"], digest(bundles["broken"]), promote=False)
    registry.tried = "3"
    for _ in range(3):
        made.follow()
    assert made.answers([asked(bundles["binary"])]) == []
    assert registry.downloads.count("3") == 1
    assert [record.levelname for record in caplog.records if record.name == "shadow"] == ["WARNING"]
    registry.tried = "2"
    made.follow()
    assert len(made.answers([asked(bundles["binary"])])) == 1


def test_a_challenger_that_crashes_does_not_hold_up_the_log(made, bundles, caplog, monkeypatch):
    made.follow()

    def crash(rows):
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(made._pairs["demo"].predictor, "predict", crash)
    assert made.answers([asked(bundles["binary"])] * 2) == []
    assert caplog.text.count("ZeroDivisionError") == 1


def test_a_slow_one_leaves_out_what_there_is_no_time_for(made, bundles, monkeypatch):
    monkeypatch.setattr(shadow, "BATCH_S", 0.0)
    made.follow()
    assert made.answers([asked(bundles["binary"])] * 3) == []
    assert made.left_out == 3


def test_large_requests_are_answered_in_pieces(made, bundles, monkeypatch):
    monkeypatch.setattr(shadow, "PIECE", 4)
    made.follow()
    found = made.answers([asked(bundles["binary"], 10)])
    assert [len(answer.ids) for answer in found] == [4, 4, 2]


def test_hashed_words_cannot_be_answered(registry, bundles, tmp_path, caplog):
    made = Shadow(tmp_path, ["demo"], lambda name: registry, hashed=True)
    made.follow()
    assert made.answers([asked(bundles["binary"])]) == []
    assert "the log holds hashes" in caplog.text


def test_workers_bundles_are_used_where_they_are(made, registry, bundles, tmp_path):
    for number, name in (("1", "binary"), ("2", "tree")):
        shutil.copytree(bundles[name], tmp_path / "models" / registry.versions[number].sha256)
    made.follow()
    assert registry.downloads == []
    assert len(made.answers([asked(bundles["binary"])])) == 1


def test_following_and_answering_at_once(made, bundles):
    made.follow()
    record, stop = asked(bundles["binary"]), threading.Event()

    def follow():
        while not stop.is_set():
            made.follow()

    thread = threading.Thread(target=follow)
    thread.start()
    for _ in range(50):
        assert len(made.answers([record])) == 1
    stop.set()
    thread.join()


@pytest.mark.parametrize(
    ("changes", "there"),
    [
        ({}, True),
        ({"LOCKSTEP_CHALLENGER_SHARE": "10"}, False),
        ({"LOCKSTEP_LOG_ROWS": "none"}, False),
        ({"LOCKSTEP_LOG_ROWS": "off"}, False),
        ({"LOCKSTEP_LOG_ROWS": "hashed"}, True),
    ],
)
def test_when_there_is_a_shadow(tmp_path, changes, there):
    settings = Settings.read({"LOCKSTEP_MODEL_NAME": "demo,other"} | changes)
    found = shadow.from_settings(settings, tmp_path)
    assert (found is not None) is there
    assert not there or (found.models, found.hashed) == (("demo", "other"), "hashed" in changes.values())


def test_an_error_without_a_fault_of_the_registry_is_one_of_the_challenger(made, registry, monkeypatch, caplog):
    def refuse(version, to):
        raise ArtifactError("cut off", "again")

    monkeypatch.setattr(registry, "download", refuse)
    made.follow()
    assert "cut off" in caplog.text
