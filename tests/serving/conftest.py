import shutil

import pytest

from lockstep.config.settings import Settings
from lockstep.inference.predictor import digest
from tests.flask_app.standins import make_bundle
from tests.pipeline.prepared import finished  # noqa: F401 - a fixture
from tests.pipeline.project import copy_of
from tests.serving.real import Store
from tests.serving.servers import Servers


@pytest.fixture(scope="session")
def servers(tmp_path_factory, finished):  # noqa: F811
    """Real servers on the default model, promoted, and on two small ones with columns of every kind."""
    project = copy_of(finished, tmp_path_factory.mktemp("serving") / "a project")
    project.lockstep("promote")
    folder = tmp_path_factory.mktemp("bundles")
    settings = Settings.read({"MLFLOW_TRACKING_URI": f"sqlite:///{project.root / '.lockstep' / 'mlflow.db'}"})
    bundles = {name: make_bundle(task, folder / name) for name, task in (("mixed", "binary"), ("text", "text"))}
    for name, bundle in bundles.items():
        shutil.copytree(bundle, project.root / ".lockstep" / "models" / digest(bundle))  # spares a process to open it
        store = Store(settings, name)
        store.promote(store.register(bundle))
    servers = Servers(project, bundles)
    yield servers
    servers.stop()
