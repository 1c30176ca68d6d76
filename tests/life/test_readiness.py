"""Workers of which one has a model and another has none."""

import pytest

from lockstep.config.settings import Settings
from tests.life.conftest import START_S, rows_of
from tests.serving.real import Store, wait_for

pytestmark = pytest.mark.server


@pytest.fixture
def server(make, bundle):
    """A server of two workers whose one model comes from the registry."""
    server = make(workers=2, LOCKSTEP_BAKED_MODEL="")
    store = Store(Settings.read({"LOCKSTEP_STATE": str(server.folder / "state")}), "demo")
    store.promote(store.register(bundle))
    return server.start(within_s=START_S)


def all_answer(server, rows):
    return {server.predict(rows)[0] for _ in range(60)} == {200}


def test_requests_go_to_the_workers_that_have_a_model(server, bundle, tmp_path):
    state, rows = server.folder / "state", rows_of(bundle)
    wait_for(lambda: server.log.read_text().count("demo version 1 serves") == 2, START_S, 0.2)
    for name in ("models", "artifacts"):
        (state / name).rename(tmp_path / name)
    server.workers()[0].kill()
    wait_for(lambda: "requests go to the other workers" in server.log.read_text(), START_S, 0.2)
    assert all_answer(server, rows)
    assert {server.get("/readyz")[0] for _ in range(20)} == {200}
    (tmp_path / "artifacts").rename(state / "artifacts")
    wait_for(lambda: server.log.read_text().count("demo version 1 serves") == 3, START_S, 0.2)
    assert all_answer(server, rows)
    check_privacy(state)


def check_privacy(state):
    """Check that the server's user alone enters its folders, and reads the files that hold what people have sent."""
    others = {path.name for path in state.iterdir()} - {"mlflow.db", "mlflow.db.lock", "artifacts"}
    folders = [path for name in others for path in (state / name, *(state / name).rglob("*")) if path.is_dir()]
    files = [path for folder in (state, state / "spool") for path in folder.iterdir() if path.is_file()]
    files = [path for path in files if path.parent != state or path.name in others]
    assert {"models", "spool", "lockstep.db"} <= others
    assert [path for path in (*folders, *files) if path.stat().st_mode & 0o077] == []
