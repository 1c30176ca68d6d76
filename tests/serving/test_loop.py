"""The whole loop on real data and a real server: quiet, drift, alarm, labels, training, gate, promotion, quiet."""

import csv
import io
import json
import urllib.request

import numpy as np
import pytest

from tests.pipeline import traffic
from tests.pipeline.project import copy_project
from tests.serving.load import ask
from tests.serving.real import Server, wait_for

pytestmark = [pytest.mark.server, pytest.mark.pipeline, pytest.mark.long("trains twice")]

TOKEN = "admin-token-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
WINDOW = 150
FEATURE = "worst texture"
OPENED_S = 30.0
"""A version that was never here is opened first, by a process of its own, for which a busy machine takes its time."""


@pytest.fixture
def project(tmp_path):
    """A project of its own with small windows, its model in Production."""
    project = copy_project(tmp_path / "loop")
    project.edit("params.yaml", "model_evaluation:\n", f"model_evaluation:\n  monitoring: {{window_rows: {WINDOW}}}\n")
    project.repro()
    project.lockstep("promote")
    return project


@pytest.fixture
def server(project):
    """A server of the project, run in its folder."""
    own = {"LOCKSTEP_STATE": str(project.root / ".lockstep"), "LOCKSTEP_ADMIN_TOKEN": TOKEN, "LOCKSTEP_MONITOR_S": "1"}
    path = {"PYTHONPATH": project.environment["PYTHONPATH"]}
    server = Server(project.root, "breast-cancer", workers=1, **own, **path).start()
    yield server
    server.stop()


def snapshot(project):
    return json.loads((project.root / ".lockstep" / "monitoring.json").read_text())


def drawn(project, count, seed, scale=1.0):
    """Return rows of the source drawn with replacement, one feature scaled."""
    rows = traffic.source_rows(project)
    rows = rows[rows.index < 569].sample(count, replace=True, random_state=seed)
    return rows.assign(**{FEATURE: rows[FEATURE] * scale})


def predicted(server, rows):
    """Ask for predictions in pieces; return their ids and the version that answered."""
    ids, versions = [], set()
    content = rows.drop(columns="target").to_dict("records")
    for start in range(0, len(content), 50):
        status, _, answer = server.predict(content[start : start + 50])
        assert status == 200
        ids += [one["id"] for one in answer["predictions"]]
        versions.add(answer["model"]["version"])
    return ids, versions


def windows(project, version):
    found = snapshot(project)["models"]["breast-cancer"]["drift"]
    return [window["verdict"] for window in found if window["version"] == version]


def opened(project):
    return [alert for alert in snapshot(project)["alerts"] if alert["closed"] is None and alert["kind"] == "drift"]


def label(server, ids, truth):
    """Send labels as a file, as someone would who has the truth in a table."""
    text = io.StringIO()
    csv.writer(text).writerows([("id", "label"), *zip(ids, truth, strict=True)])
    mark = "x-mark"
    body = (
        f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="labels.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\n{text.getvalue()}\r\n--{mark}--\r\n"
    )
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/feedback/file",
        body.encode(),
        {"Content-Type": f"multipart/form-data; boundary={mark}", "Accept": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.status


def test_quiet_drift_alarm_labels_training_promotion_quiet(project, server):
    predicted(server, drawn(project, 2 * WINDOW, 1))
    wait_for(lambda: windows(project, "1") == ["quiet", "quiet"], 30)
    assert opened(project) == []

    rows = drawn(project, 2 * WINDOW, 2, 1.3)
    ids, _ = predicted(server, rows)
    (alert,), _ = wait_for(lambda: opened(project), 30)
    assert FEATURE in alert["subject"]
    wait_for(lambda: windows(project, "1")[:2] == ["alarm", "alarm"], 30)
    wait_for(lambda: opened(project)[0]["severity"] == "page", 10)
    assert label(server, ids, rows["target"]) in (200, 202)
    wait_for(lambda: snapshot(project)["log"]["labels"] == len(ids), 30)

    status, headers, job = ask(server.port, "POST", "/retrain", {"reason": alert["detail"]}, BEARER)
    assert (status, job["trigger"]) == (202, "request")
    where = headers["Location"]
    status, _, refused = ask(server.port, "POST", "/retrain", {"reason": "again"}, BEARER)
    assert status == 409 and job["id"] in refused["detail"]
    done, _ = wait_for(lambda: ended(server, where), 240, 1.0)
    assert (done["state"], done["version"], done["labelled_rows"]) == ("promoted", "2", len(ids)), done
    wait_for(lambda: predicted(server, rows.head(1))[1] == {"2"}, OPENED_S)
    wait_for(lambda: opened(project) == [], 30)

    both = np.random.default_rng(3).permutation(4 * WINDOW)
    learned = traffic.source_rows(project)
    predicted(server, learned.iloc[both % len(learned)].dropna(axis="columns"))
    wait_for(lambda: windows(project, "2")[:3] == ["quiet"] * 3, 30)
    assert opened(project) == []
    (told,) = snapshot(project)["jobs"]
    assert (told["state"], told["reason"]) == ("promoted", alert["detail"])


def ended(server, where):
    status, _, job = ask(server.port, "GET", where, headers=BEARER)
    assert status == 200
    return job if job["state"] not in ("waiting", "running") else None
