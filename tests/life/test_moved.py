"""A project folder that is moved, copied or oddly named."""

import shutil

import pytest

from lockstep.config.settings import Settings
from tests.serving.real import Store


@pytest.fixture
def stocked(tmp_path, bundle, template_store):
    """A project's state folder with a version that serves."""
    state = tmp_path / "project" / ".lockstep"
    state.mkdir(parents=True)
    shutil.copyfile(template_store, state / "mlflow.db")
    store = store_in(state)
    store.promote(store.register(bundle))
    return state


def store_in(state):
    return Store(Settings.read({"LOCKSTEP_STATE": str(state)}), "demo")


def files_below(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.name != "mlflow.db")


@pytest.mark.parametrize("name", ["project2", "a project", 'it\'s "quoted"'])
@pytest.mark.parametrize("way", [shutil.move, shutil.copytree])
def test_a_store_that_was_moved_or_copied_reads_and_writes_where_it_is(stocked, bundle, tmp_path, way, name):
    way(stocked.parent, tmp_path / name)
    before = files_below(stocked) if stocked.exists() else []
    store = store_in(tmp_path / name / ".lockstep")
    serving = store.registry.production()
    fetched = store.registry.download(serving, tmp_path / "fetched")
    assert (fetched / "model.skops").read_bytes() == (bundle / "model.skops").read_bytes()
    store.promote(store.register(bundle, "2" * 64))
    assert store.registry.production().source.startswith(str(tmp_path / name))
    assert (files_below(stocked) if stocked.exists() else []) == before
