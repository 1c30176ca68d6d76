import pytest

from lockstep.errors import TrackingError
from lockstep.registry import tracking_server

TOKEN = {"DAGSHUB_REPO": "me/project", "DAGSHUB_USER_TOKEN": "secret"}
DAGSHUB = "https://dagshub.com/me/project.mlflow"


@pytest.mark.parametrize(
    ("environment", "uri", "username", "password", "kind"),
    [
        ({"MLFLOW_TRACKING_URI": "http://host:5000/"}, "http://host:5000", "", "", "mlflow"),
        ({"MLFLOW_TRACKING_URI": "http://host:5000"} | TOKEN, "http://host:5000", "", "", "mlflow"),
        (
            {"MLFLOW_TRACKING_URI": "http://h", "MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_PASSWORD": "p"},
            *("http://h", "u", "p", "mlflow"),
        ),
        (TOKEN, DAGSHUB, "secret", "secret", "dagshub"),
        ({"DAGSHUB_REPO": "me/project", "CAPSTONE_TEST": "old"}, DAGSHUB, "old", "old", "dagshub"),
        (TOKEN | {"MLFLOW_TRACKING_USERNAME": "me"}, DAGSHUB, "me", "secret", "dagshub"),
        ({"MLFLOW_TRACKING_URI": DAGSHUB, "CAPSTONE_TEST": "old"}, DAGSHUB, "old", "old", "dagshub"),
        ({"MLFLOW_TRACKING_URI": "databricks"}, "databricks", "", "", "mlflow"),
    ],
)
def test_the_environment_chooses_the_server(settings_for, environment, uri, username, password, kind):
    assert tracking_server.resolve(settings_for(**environment)) == tracking_server.TrackingServer(
        uri, username, password, kind
    )


def test_without_a_word_it_is_an_absolute_database_here(settings_for, tmp_path):
    assert tracking_server.resolve(settings_for(LOCKSTEP_STATE=".lockstep")) == tracking_server.TrackingServer(
        f"sqlite:///{tmp_path}/.lockstep/mlflow.db", kind="local"
    )


def test_a_subfolder_of_the_project_means_the_same_database(settings_for, tmp_path, monkeypatch):
    settings = settings_for(LOCKSTEP_STATE=".lockstep")
    for name in ("params.yaml", "dvc.yaml", "src/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path / "src")
    assert tracking_server.resolve(settings).uri == f"sqlite:///{tmp_path}/.lockstep/mlflow.db"


def test_a_relative_database_is_made_absolute(settings_for, tmp_path):
    chosen = tracking_server.resolve(settings_for(MLFLOW_TRACKING_URI="sqlite:///runs.db"))
    assert (chosen.uri, chosen.kind) == (f"sqlite:///{tmp_path}/runs.db", "local")


@pytest.mark.parametrize(
    ("environment", "database"),
    [
        ({"LOCKSTEP_STATE": ".lockstep"}, ".lockstep/mlflow.db"),
        ({"MLFLOW_TRACKING_URI": "sqlite:///runs.db"}, "runs.db"),
    ],
)
def test_an_experiment_in_a_copy_uses_the_database_of_the_project(
    settings_for, tmp_path, monkeypatch, environment, database
):
    copy = tmp_path / ".dvc/tmp/exps/tmp1"
    copy.mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).touch()
        (copy / name).touch()
    monkeypatch.chdir(copy)
    assert tracking_server.resolve(settings_for(**environment)).uri == f"sqlite:///{tmp_path}/{database}"


def test_all_models_of_a_project_use_one_database(settings_for, tmp_path, monkeypatch):
    folder = tmp_path / "usecases/churn"
    folder.mkdir(parents=True)
    for root in (tmp_path, folder):
        (root / "params.yaml").touch()
        (root / "dvc.yaml").touch()
    monkeypatch.chdir(folder)
    settings = settings_for(LOCKSTEP_STATE=".lockstep")
    assert tracking_server.resolve(settings).uri == f"sqlite:///{tmp_path}/.lockstep/mlflow.db"


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "./mlruns", "/tmp/mlruns", "file:mlruns"])
def test_a_folder_is_refused(settings_for, uri):
    with pytest.raises(TrackingError, match="is a folder") as caught:
        tracking_server.resolve(settings_for(MLFLOW_TRACKING_URI=uri))
    assert "sqlite:///" in caught.value.hint


@pytest.mark.parametrize("name", ["a%20b", "a?b", "a#b"])
def test_a_folder_in_which_mlflow_finds_nothing_is_refused(settings_for, tmp_path, name):
    for environment in ({"LOCKSTEP_STATE": name}, {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/{name}/mlflow.db"}):
        with pytest.raises(TrackingError, match="the tracking store cannot be in") as caught:
            tracking_server.resolve(settings_for(**environment))
        assert name in caught.value.problem
        assert "rename the folder" in caught.value.hint


@pytest.mark.parametrize("repo", ["project", "https://dagshub.com/me/project", "me/project/more", "me/.. /"])
def test_a_repository_is_owner_and_name(settings_for, repo):
    with pytest.raises(TrackingError, match="not owner/name"):
        tracking_server.resolve(settings_for(DAGSHUB_REPO=repo, DAGSHUB_USER_TOKEN="t"))


def test_neither_password_nor_address_shows_a_secret():
    chosen = tracking_server.TrackingServer("http://me:hunter2@host", "me", "hunter2")
    assert "hunter2" not in chosen.shown
    assert "password" not in repr(chosen)


@pytest.mark.parametrize(
    ("uri", "environment", "told"),
    [
        ("http://127.0.0.1:5000", {"HTTP_PROXY": "http://a:b@proxy:3128"}, "NO_PROXY=127.0.0.1"),
        ("http://mlflow:5000", {"http_proxy": "http://proxy:3128"}, "NO_PROXY=mlflow"),
        (
            "https://10.0.0.7",
            {"ALL_PROXY": "http://proxy:3128"},
            "NO_PROXY=10.0.0.7",
        ),
        ("http://mlflow.team.svc:5000", {"HTTP_PROXY": "http://proxy:3128"}, "NO_PROXY=mlflow.team.svc"),
        ("http://127.0.0.1:5000", {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "127.0.0.1"}, ""),
        ("http://127.0.0.1:5000", {"HTTPS_PROXY": "http://proxy:3128"}, ""),
        ("https://dagshub.com/a/b.mlflow", {"HTTPS_PROXY": "http://proxy:3128"}, ""),
        ("sqlite:////tmp/mlflow.db", {"HTTP_PROXY": "http://proxy:3128"}, ""),
    ],
)
def test_a_proxy_that_gets_internal_requests_is_told(monkeypatch, uri, environment, told):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    hint = tracking_server.proxy_hint(uri)
    assert bool(hint) == bool(told) and hint.endswith(told)
    assert "a:b" not in hint
