import threading

import pytest

from tests import ops
from tests.github import account as standins
from tests.k8s.conftest import App


@pytest.fixture(scope="module")
def account(tmp_path_factory, mlflow_server):
    folder = tmp_path_factory.mktemp("account")
    app = App(tmp_path_factory.mktemp("app"))
    thread = threading.Thread(target=app.server.serve_forever)
    thread.start()
    try:
        with standins.opened(folder, app.server.server_port, mlflow_server, ops.ROOT / "tests/github") as account:
            account.app = app
            yield account
    finally:
        app.server.shutdown()
        thread.join()
        app.server.server_close()
