import os
import signal
import threading

import pandas as pd
import pytest

from lockstep import storage
from lockstep.compute import dask
from lockstep.compute import pool as compute
from lockstep.config.params import Compute, DataIngestion, Reader
from lockstep.errors import DataError
from lockstep.inference import batch, batch_job, predictor
from tests import dask_cluster
from tests.flask_app import standins


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = standins.make_bundle("binary", tmp_path_factory.mktemp("bundle"))
    return batch_job.ModelFiles.from_folder("demo", "3", predictor.digest(folder), folder)


@pytest.fixture(scope="module")
def rows():
    frame, _ = standins.make_frame("binary")
    return frame.drop(columns="outcome")


@pytest.fixture
def time_at_hand(request):
    """Go on only with --long."""
    if not request.config.getoption("long"):
        pytest.skip("starts processes that import all anew; pytest --long")


@pytest.fixture
def folder(rows, tmp_path):
    """Three parts of some rows each, and what is none."""
    made = tmp_path / "in"
    made.mkdir()
    rows[:10].to_parquet(made / "a.parquet")
    rows[10:30].to_csv(made / "b.csv", index=False)
    rows[30:].to_parquet(made / "c.parquet")
    for name in ("_SUCCESS", ".c.parquet.crc", "notes.txt"):
        (made / name).write_text("no part")
    return made


def find(given, out):
    """Return what `lockstep predict` makes of its arguments."""
    (base, pattern), params = storage.split(str(given)), DataIngestion(source=str(given))
    source, to = storage.location(base, params), storage.location(str(out), params)
    return source, to, *batch_job.find(str(given), source, pattern, to)


def score(model, given, out, pool=None, seen=lambda name, outcome: None):
    source, to, found, _ = find(given, out)
    plan = batch_job.plan(found, source, to, Reader(), model.load())
    return batch_job.score_all(pool or compute.LocalPool(1), model, plan, found, seen)


def states(outcomes):
    return {name: own.state for name, own in outcomes.items()}


def read(path):
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


def check_whole(out, model, rows, tmp_path):
    """Compare all parts with the rows scored as one file."""
    rows.to_csv(tmp_path / "one.csv", index=False)
    batch.score_file(model.load(), tmp_path / "one.csv", tmp_path / "one-out.csv", Reader())
    whole = pd.concat([read(path) for path in sorted(out.glob("*.*")) if path.is_file()], ignore_index=True)
    pd.testing.assert_frame_equal(whole, pd.read_csv(tmp_path / "one-out.csv"), check_dtype=False)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_folder_gives_what_one_file_gives_row_for_row(request, model, rows, folder, tmp_path, jobs):
    if jobs > 1:
        request.getfixturevalue("time_at_hand")
    seen = []
    outcomes = score(model, folder, tmp_path / "out", compute.LocalPool(jobs), lambda name, outcome: seen.append(name))
    assert states(outcomes) == {"a.parquet": "scored", "b.csv": "scored", "c.parquet": "scored"}
    assert [own.rows for own in outcomes.values()] == [10, 20, len(rows) - 30]
    assert sorted(seen) == list(outcomes)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".lockstep", *outcomes]
    check_whole(tmp_path / "out", model, rows, tmp_path)


def rewrite(path):
    frame = read(path)
    frame[:5].to_csv(path, index=False) if path.suffix == ".csv" else frame[:5].to_parquet(path)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda folder, out: None, {}, id="nothing"),
        pytest.param(lambda folder, out: (out / "b.csv").unlink(), {"b.csv": "scored"}, id="missing"),
        pytest.param(lambda folder, out: rewrite(folder / "a.parquet"), {"a.parquet": "redone"}, id="another-input"),
        pytest.param(lambda folder, out: rewrite(out / "c.parquet"), {"c.parquet": "redone"}, id="touched"),
        pytest.param(lambda folder, out: os.utime(folder / "b.csv", (1, 1)), {}, id="same-bytes-another-time"),
    ],
)
def test_a_rerun_does_what_is_missing_and_no_more(model, folder, tmp_path, change, expected):
    out = tmp_path / "out"
    before = score(model, folder, out)
    change(folder, out)
    after = score(model, folder, out)
    assert states(after) == dict.fromkeys(before, "kept") | expected
    assert {name: own.rows for name, own in after.items()} == {name: len(read(out / name)) for name in after}


@pytest.mark.parametrize("other", [{"version": "4"}, {"name": "other"}])
def test_parts_of_another_version_are_redone(model, folder, tmp_path, other):
    score(model, folder, tmp_path / "out")
    another = batch_job.ModelFiles(
        **{"name": "demo", "version": "3"} | other, sha256=model.sha256, content=model.content
    )
    assert set(states(score(another, folder, tmp_path / "out")).values()) == {"redone"}


def test_one_bad_part_is_named_and_the_others_are_done(model, rows, folder, tmp_path):
    rows[:10].drop(columns="place").to_parquet(folder / "a.parquet")
    rows[:10].assign(more=1).to_csv(folder / "d.csv", index=False)
    (folder / "e.parquet").write_bytes(b"PAR1")
    rows[:3].assign(place="nowhere").to_csv(folder / "f.csv", index=False)
    outcomes = score(model, folder, tmp_path / "out")
    assert {name: own.problem.partition(":")[0] for name, own in outcomes.items() if own.state == "failed"} == {
        "a.parquet": "column 'place' is missing",
        "d.csv": "column 'more' is too many",
        "e.parquet": "e.parquet is damaged",
        "f.csv": "row 0, column 'place'",
    }
    assert "b.csv has" in outcomes["a.parquet"].hint
    assert [path.name for path in sorted((tmp_path / "out").glob("*.*")) if path.is_file()] == ["b.csv", "c.parquet"]
    assert not list((tmp_path / "out" / ".lockstep").glob("*partial*"))


def test_a_pattern_keeps_the_folders_that_it_spans(model, folder, tmp_path):
    folder.rename(tmp_path / "day=1")
    outcomes = score(model, tmp_path / "day=*" / "*.parquet", tmp_path / "out")
    assert list(outcomes) == ["day=1/a.parquet", "day=1/c.parquet"]
    assert (tmp_path / "out" / "day=1" / "a.parquet").is_file()
    assert set(states(score(model, tmp_path / "day=*" / "*.parquet", tmp_path / "out")).values()) == {"kept"}


@pytest.mark.parametrize(
    ("given", "out", "problem"),
    [
        pytest.param("in", "in", "cannot take the parts", id="onto-itself"),
        pytest.param("in/*.parquet", "in", "cannot take the parts", id="pattern-onto-itself"),
        pytest.param("in", "in/notes.txt", "cannot take the parts", id="onto-a-file"),
        pytest.param("in/*.orc", "out", "holds no part", id="nothing-fits"),
        pytest.param("empty", "out", "holds no part", id="empty"),
    ],
)
def test_folders_that_cannot_be_scored(folder, tmp_path, given, out, problem):
    (tmp_path / "empty").mkdir()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(DataError, match=problem):
        find(tmp_path / given, tmp_path / out)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_what_is_no_part_is_left_out(folder, tmp_path):
    assert find(folder, tmp_path / "out")[2:] == (["a.parquet", "b.csv", "c.parquet"], ["notes.txt"])


@pytest.mark.parametrize("there", [False, True])
def test_a_worker_that_does_not_see_the_folders_says_so(model, folder, tmp_path, there):
    source, _, (first, *_), _ = find(folder, tmp_path / "out")
    if there:  # of the same name, on a disk of its own
        (tmp_path / "elsewhere").mkdir()
    unseen = batch_job.BatchPlan(source, storage.FolderLocation(tmp_path / "elsewhere"), Reader(), frozenset(), first)
    outcome = batch_job.score(model, unseen, first)
    assert outcome.state == "failed"
    assert "does not see" in outcome.problem
    assert str(tmp_path / "elsewhere") in outcome.problem


@pytest.fixture
def prefixes(folder, s3):
    """The parts of the folder below a prefix of a bucket, and a prefix for what is made of them."""
    for path in folder.iterdir():
        s3.upload_file(str(path), s3.bucket, f"a month/parts/{path.name}")
    return f"s3://{s3.bucket}/a month/parts/", f"s3://{s3.bucket}/a month/scored/"


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_prefix_gives_what_a_folder_gives(request, model, folder, tmp_path, s3, prefixes, jobs):
    if jobs > 1:
        request.getfixturevalue("time_at_hand")
    given, out = prefixes
    assert score(model, given, out, compute.LocalPool(jobs)) == score(model, folder, tmp_path / "out")
    for name in ("a.parquet", "b.csv", "c.parquet"):
        content = s3.get_object(Bucket=s3.bucket, Key=f"a month/scored/{name}")["Body"].read()
        assert content == (tmp_path / "out" / name).read_bytes()
    again = score(model, given.replace("parts/", "par*/*.parquet"), f"s3://{s3.bucket}/b")
    assert states(again) == {"parts/a.parquet": "scored", "parts/c.parquet": "scored"}
    assert find(given, out)[3] == ["notes.txt"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda s3, key: None, {}, id="nothing"),
        pytest.param(lambda s3, key: s3.delete_object(**key("scored/b.csv")), {"b.csv": "scored"}, id="missing"),
        pytest.param(
            lambda s3, key: s3.put_object(**key("scored/c.parquet"), Body=b"x"),
            {"c.parquet": "redone"},
            id="touched",
        ),
        pytest.param(
            lambda s3, key: s3.put_object(
                **key("parts/b.csv"), Body=s3.get_object(**key("parts/b.csv"))["Body"].read()
            ),
            {},
            id="same-bytes-another-time",
        ),
    ],
)
def test_a_rerun_on_a_prefix_does_what_is_missing_and_no_more(model, s3, prefixes, change, expected):
    before = score(model, *prefixes)
    change(s3, lambda name: {"Bucket": s3.bucket, "Key": f"a month/{name}"})
    assert states(score(model, *prefixes)) == dict.fromkeys(before, "kept") | expected


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize(
    ("given", "out", "problem"),
    [
        ("s3://none-here/parts/", "s3://none-here/scored/", "NoSuchBucket"),
        ("s3:///parts/", "s3://own/scored/", "names no bucket"),
        ("s3://{bucket}/empty/", "s3://{bucket}/scored/", "holds no part"),
        ("s3://{bucket}/a month/parts/", "s3://{bucket}/a month/parts", "cannot take the parts"),
    ],
)
def test_prefixes_that_cannot_be_scored(s3, prefixes, given, out, problem):
    with pytest.raises(DataError, match=problem):
        find(given.format(bucket=s3.bucket), out.format(bucket=s3.bucket))


def test_a_bucket_that_takes_nothing_fails_each_part(model, s3, prefixes):
    outcomes = score(model, prefixes[0], "s3://none-here/scored/")
    assert {own.state for own in outcomes.values()} == {"failed"}
    assert "NoSuchBucket" in outcomes["a.parquet"].problem


@pytest.mark.usefixtures("time_at_hand")
def test_a_cluster_that_loses_a_worker_scores_every_part(monkeypatch, model, rows, folder, tmp_path):
    monkeypatch.setattr(dask, "CONNECT_S", 60)
    for number in range(60):
        rows.to_parquet(folder / f"x{number}.parquet")
    with dask_cluster.started(tmp_path) as two, compute.pool(Compute(engine="dask", address=two.address), 1) as pool:
        pid, killed = next(iter(two.pids().values())), threading.Event()

        def kill(name, outcome):
            if not killed.is_set():
                killed.set()
                os.kill(pid, signal.SIGKILL)

        outcomes = score(model, folder, tmp_path / "out", pool, kill)
        assert len(two.threads()) == 1
    assert killed.is_set()
    assert set(states(outcomes).values()) <= {"scored", "kept"}
    assert len(outcomes) == 63
    for path in folder.glob("x*"):
        path.unlink()
        (tmp_path / "out" / path.name).unlink()
    check_whole(tmp_path / "out", model, rows, tmp_path)
