"""scripts/change_report with real git and DVC: what differs from a commit, as Markdown."""

import json
import shutil

import pytest

from tests import ops

METRICS = {"roc_auc": 0.95, "interval_95": {"roc_auc": [0.93, 0.97]}, "test_rows": 100}
DATA = {
    "dropped": {"rows_read": 500}, "train_rows": 400, "test_rows": 100, "feedback_rows": 0, "warnings": [],
    "kinds": [["age", "numeric"], ["plan", "text"]], "about_target": {"classes": [{"label": "yes", "rows": 40}]},
}  # fmt: skip
GATE = {"passed": True, "checks": [{"name": "floor of roc_auc", "passed": True, "reason": "roc_auc is 0.95"}]}
RUN = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "own/er", "GITHUB_RUN_ID": "42"}


class Folder:
    """A repository with reports and the params of one stage."""

    def __init__(self, folder):
        self.root = folder / "work"
        self.env = ops.environment("") | {"PATH": f"{ops.ROOT / '.venv/bin'}:/usr/bin:/bin", "HOME": str(folder)}
        (self.root / "scripts").mkdir(parents=True)
        for name in ("change_report", "outside.py"):
            shutil.copy(ops.ROOT / "scripts" / name, self.root / "scripts")
        (self.root / "dvc.yaml").write_text("stages: {train: {cmd: 'true', params: [depth]}}\n")
        self("git", "init", "-q", "-b", "main")
        self("dvc", "init", "-q")

    def __call__(self, *command, **variables):
        return ops.run(*command, env=self.env | variables, cwd=self.root)

    def write(self, metrics=METRICS, data=DATA, gate=GATE, depth=3, model=""):
        folder = self.root / model / "reports"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (("metrics", metrics), ("data", data), ("gate", gate)):
            (folder / f"{name}.json").write_text(json.dumps(content))
        (self.root / model / "params.yaml").write_text(f"depth: {depth}\n")

    def commit(self):
        self("git", "add", "-A")
        self("git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x")

    def report(self, *words, **variables):
        done = self("scripts/change_report", *words, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path)
    folder.write()
    folder.commit()
    return folder


def test_what_differs_is_named_with_intervals_and_nothing_else(folder):
    folder.write(
        metrics=METRICS | {"roc_auc": 0.91, "interval_95": {"roc_auc": [0.88, 0.94]}},
        data=DATA | {"train_rows": 380, "kinds": [["age", "numeric"], ["`sex`|@all", "text"]]},
        gate={"passed": False, "checks": [{"name": "floor", "passed": False, "reason": "roc_auc | is 0.91"}]},
        depth=5,
    )
    report = folder.report("main", **RUN)
    assert "| `roc_auc` | 0.95 (0.93 to 0.97) | 0.91 (0.88 to 0.94) | -0.04 |" in report
    assert "`test_rows`" not in report and "rows read" not in report
    assert "| training rows | 400 | 380 |" in report
    assert "| column `plan` | text |  |\n| column `'sex'/@all` |  | text |" in report
    assert "**refused**\n\n- `floor`: `roc_auc / is 0.91`" in report
    assert "| params.yaml | depth   | 3      | 5           |" in report
    assert "`report.html` in the artifact `reports` of [this run](https://github.com/own/er/actions/runs/42)" in report


def test_no_difference_is_said_and_a_new_model_has_no_before(folder):
    folder.write(model="usecases/churn")
    report = folder.report()
    assert report.count("no difference") == 3
    assert "### Metrics of `churn`, against `main`" in report
    assert "| `roc_auc` |  | 0.95 (0.93 to 0.97) |  |" in report
    assert "Evaluation page: `reports/report.html`" in report


def test_a_commit_that_is_not_there_is_one_line(folder):
    done = folder("scripts/change_report", "origin/none")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: there is no commit origin/none\n  hint: git fetch --unshallow, or name another\n"
