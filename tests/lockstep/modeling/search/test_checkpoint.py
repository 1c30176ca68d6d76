import os

import pytest

from lockstep import files
from lockstep.config.params import Candidate, ModelBuilding
from lockstep.modeling.search import checkpoint
from lockstep.modeling.search.checkpoint import Checkpoint
from lockstep.modeling.search.fold_score import FoldResult

KEY = "a" * 64
PARAMS = ModelBuilding(candidates=[Candidate(estimator="ridge")])


def filled(folder, count=3, key=KEY):
    with Checkpoint(folder, key) as kept:
        for number in range(count):
            kept.add(f"piece {number}", FoldResult(1 / (number + 3), fit_s=0.5))
        kept.add("bad", FoldResult(None, "did not converge", "raise it"))
    return kept


def lines_of(kept):
    return kept.folder / checkpoint.LINES


def test_what_was_added_is_known_again_to_the_last_bit(tmp_path):
    kept = filled(tmp_path)
    again = Checkpoint(tmp_path, KEY)
    assert again.results == kept.results
    assert again.results["piece 0"] == FoldResult(1 / 3, fit_s=0.5)
    assert again.results["bad"].cause == "did not converge"


def test_a_line_is_on_file_before_the_checkpoint_is_closed(tmp_path):
    kept = Checkpoint(tmp_path, KEY)
    kept.add("one", FoldResult(0.5))
    assert Checkpoint(tmp_path, KEY).results == {"one": FoldResult(0.5)}


def test_another_key_knows_nothing_of_it(tmp_path):
    filled(tmp_path)
    assert Checkpoint(tmp_path, "b" * 64).results == {}


@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        pytest.param(lambda content: content[:-20], {"bad"}, id="half-a-line"),
        pytest.param(lambda content: content.replace(b"0.333", b"0.999"), {"piece 0"}, id="changed"),
        pytest.param(lambda content: content + b"\x00\x00\x00\x00", set(), id="zeros-of-a-lost-block"),
        pytest.param(lambda content: content + b"\n\xff\xfe{", set(), id="no-text"),
        pytest.param(lambda content: content[3:], {"piece 0"}, id="start-gone"),
    ],
)
def test_a_damaged_line_is_passed_over_aloud_and_spoils_no_other(tmp_path, caplog, damage, lost):
    kept = filled(tmp_path)
    whole = lines_of(kept).read_bytes()
    lines_of(kept).write_bytes(damage(whole))
    with Checkpoint(tmp_path, KEY) as again:
        assert set(kept.results) - set(again.results) == lost
        again.add("later", FoldResult(0.25))
    assert ("1 damaged lines" in caplog.text) == (damage(whole).strip(b"\x00") != whole)
    assert Checkpoint(tmp_path, KEY).results == again.results


def test_two_runs_at_once_lose_nothing(tmp_path):
    one, other = Checkpoint(tmp_path, KEY), Checkpoint(tmp_path, KEY)
    for number in range(20):
        (one, other)[number % 2].add(f"{number}", FoldResult(number / 7))
    os.write(one._file, b"\nhalf a li")  # it dies while it writes
    other.add("last", FoldResult(1.0))
    assert len(Checkpoint(tmp_path, KEY).results) == 21


def test_time_is_counted_over_all_runs(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    for seconds in (30.0, 12.5):
        kept = Checkpoint(tmp_path, KEY)
        for share in (0.5, 1.0):
            now[0] += seconds / 2
            kept.add(f"{seconds} {share}", FoldResult(0.5))
    assert Checkpoint(tmp_path, KEY).spent_s == 42.5


def test_only_the_latest_checkpoints_stay(tmp_path):
    for number in range(checkpoint.KEEP + 3):
        kept = filled(tmp_path, key=f"{number:064}"[::-1])
        os.utime(lines_of(kept), (number, number))
        os.utime(kept.folder, (number, number))
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted(f"{number:064}"[::-1][:32] for number in range(3, checkpoint.KEEP + 3))


def test_timings_are_found_by_the_record(tmp_path):
    record = tmp_path / "search.json"
    record.write_text("{}")
    folder = tmp_path / "checkpoints"
    with Checkpoint(folder, KEY) as kept:
        kept.finish(record, [{"fit_s": 1.5}])
    assert checkpoint.timings(folder, record) == [{"fit_s": 1.5}]
    record.write_text("{ }")
    assert checkpoint.timings(folder, record) == []


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"jobs": 4}, True),
        ({"search": {"minutes": 3.0}}, True),
        ({"search": {"rows": 100}}, False),
        ({"seed": 1}, False),
        ({"candidates": [Candidate(estimator="decision_tree")]}, False),
        ({"references": True}, False),
    ],
)
def test_a_key_changes_with_what_a_score_depends_on(change, same):
    other = ModelBuilding.model_validate(PARAMS.model_dump() | change)
    assert (checkpoint.key("m", "binary", other) == checkpoint.key("m", "binary", PARAMS)) == same
    assert (
        checkpoint.key("m", "regression", PARAMS)
        != checkpoint.key("m", "binary", PARAMS)
        != checkpoint.key("n", "binary", PARAMS)
    )


def test_the_key_changes_with_our_code(monkeypatch, tmp_path):
    before = checkpoint.key("m", "binary", PARAMS)
    files.write_bytes(b"pass", tmp_path / "modeling" / "search.py")
    monkeypatch.setattr(checkpoint, "__file__", str(tmp_path / "modeling" / "search" / "checkpoint.py"))
    assert checkpoint.key("m", "binary", PARAMS) != before
