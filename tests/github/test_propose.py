"""scripts/propose with real git and real DVC; GitHub's command line is a stand-in."""

import json
import shutil

import pytest

from tests import ops

SCRIPTS = ("propose", "outside.py", "metrics_diff", "remote")
STAGE = """stages:
  data_ingestion:
    cmd: python count.py
    deps: [data/external, count.py]
    metrics:
      - reports/metrics.json: {cache: false}
"""
COUNT = """import json, pathlib
rows = sum(len(path.read_text()) for path in pathlib.Path("data/external").rglob("*.parquet"))
pathlib.Path("reports/metrics.json").write_text(json.dumps({"rows": rows}))
"""
JOB = {
    "id": "0123abcd",
    "state": "kept",
    "trigger": "drift",
    "reason": "`x` | @all\n# no",
    "outcome": "worse",
    "labelled_rows": 2,
}


class Clone:
    """A small project of DVC in a clone of a repository of its own."""

    def __init__(self, folder):
        self.root, self.folder = folder / "clone", folder
        self.env = ops.environment("", GH_STANDIN=str(folder / "calls"), HOME=str(folder))
        self.env["PATH"] = f"{ops.ROOT / 'tests/github'}:{ops.ROOT / '.venv/bin'}:/usr/bin:/bin"

    def __call__(self, *command, ok=True):
        done = ops.run(*command, env=self.env, cwd=self.root)
        assert not ok or done.returncode == 0, done.stdout + done.stderr
        return done

    def calls(self):
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def retrain(self, rows):
        """Do what a retraining does to a project: labelled rows, and what the pipeline makes of them."""
        feedback = self.root / "data/external/feedback"
        feedback.mkdir(exist_ok=True)
        (feedback / "demo.parquet").write_text("x" * rows)
        self("dvc", "repro", "-q")
        (self.root / "build").mkdir(exist_ok=True)
        (self.root / "build/retrain.json").write_text(json.dumps(JOB))


@pytest.fixture
def long(request):
    if not request.config.getoption("long"):
        pytest.skip("--long proposes for real: `make check-ops ARGS=--long`")


@pytest.fixture
def clone(tmp_path):
    made = Clone(tmp_path)
    ops.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", tmp_path / "origin")
    ops.run("git", "clone", "--quiet", tmp_path / "origin", made.root)
    for folder in ("scripts", "data/external", "reports"):
        (made.root / folder).mkdir(parents=True)
    for name in SCRIPTS:
        shutil.copy(ops.ROOT / "scripts" / name, made.root / "scripts")
    shutil.copy(ops.ROOT / ".gitignore", made.root)
    (made.root / "data/external/README.md").write_text("Put data here.\n")
    (made.root / "dvc.yaml").write_text(STAGE)
    (made.root / "count.py").write_text(COUNT)
    made("dvc", "init", "-q")
    made("scripts/remote", tmp_path / "storage")
    made("dvc", "repro", "-q")
    commit(made, "first")
    made("git", "push", "--quiet", "origin", "HEAD:main")
    return made


def commit(clone, message):
    clone("git", "add", "-A")
    clone("git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", message)


def test_what_was_trained_is_proposed_with_the_rows_it_learned_from(long, clone, tmp_path):
    clone.retrain(2)
    clone("scripts/propose", "build/retrain.json")
    (call,) = clone.calls()
    assert call["words"][:6] == ["pr", "create", "--base", "main", "--head", "retrain/0123abcd"]
    assert "| reason | `'x' / @all # no` |" in call["read"]
    assert "| reports/metrics.json | rows     | 0" in call["read"]

    other = Clone(tmp_path)
    other.root = tmp_path / "other"
    ops.run("git", "clone", "--quiet", "--branch", "retrain/0123abcd", tmp_path / "origin", other.root)
    other("scripts/remote", tmp_path / "storage")
    other("dvc", "pull", "-q")
    assert (other.root / "data/external/feedback/demo.parquet").read_text() == "xx"
    assert "up to date" in other("dvc", "status").stdout
    assert json.loads((other.root / "reports/metrics.json").read_text()) == {"rows": 2}


def test_a_second_retraining_replaces_the_rows_and_nothing_new_proposes_nothing(long, clone):
    clone.retrain(2)
    clone("scripts/propose", "build/retrain.json")
    again = clone("scripts/propose", "build/retrain.json")
    assert "nothing to propose" in again.stdout
    clone.retrain(3)
    (clone.root / "build/retrain.json").write_text(json.dumps(JOB | {"id": "next"}))
    clone("scripts/propose", "build/retrain.json")
    assert [call["words"][5] for call in clone.calls()] == ["retrain/0123abcd", "retrain/next"]


def test_what_several_models_became_is_one_proposal(long, clone, tmp_path):
    churn = clone.root / "usecases/churn"
    for name in ("data/external/feedback", "reports"):
        (churn / name).mkdir(parents=True)
    (churn / "params.yaml").touch()
    (churn / "dvc.yaml").write_text(STAGE.replace("count.py", "../../count.py"))
    (churn / "data/external/feedback/churn.parquet").write_text("xxx")
    clone("dvc", "repro", "-q", "usecases/churn/dvc.yaml")
    clone.retrain(2)
    jobs = [JOB, JOB | {"model": "churn", "state": "promoted"}, JOB | {"model": "iris", "state": "failed"}]
    (clone.root / "build/retrain.json").write_text("\n".join(map(json.dumps, jobs)))
    clone("scripts/propose", "build/retrain.json")
    (call,) = clone.calls()
    assert "Retrained: kept, promoted" in call["words"]
    assert "A retraining of `churn` ended as **promoted**" in call["read"]
    assert "A retraining of `iris` ended as **failed**" in call["read"]
    tracked = clone("git", "ls-tree", "-r", "--name-only", "origin/retrain/0123abcd").stdout.split()
    assert {"dvc.lock", "usecases/churn/dvc.lock", "usecases/churn/data/external/feedback.dvc"} <= set(tracked)


@pytest.mark.parametrize(
    ("job", "problem"),
    [("{", "retrain.json: "), (json.dumps(JOB | {"state": "failed"}), "ended as failed: worse")],
)
def test_a_retraining_that_failed_is_not_proposed(tmp_path, job, problem):
    clone = Clone(tmp_path)
    clone.root = ops.ROOT
    (tmp_path / "retrain.json").write_text(job)
    done = clone("scripts/propose", tmp_path / "retrain.json", ok=False)
    assert (done.returncode, clone.calls()) == (1, [])
    assert problem in done.stderr
