"""scripts/deploy with the component `migration`: the Job runs once in each rollout, before the pods are replaced."""

import os
import shutil
import subprocess

import pytest
import yaml

from tests.k8s.cluster import DEPLOYMENTS, JOBS
from tests.k8s.conftest import BAD, GOOD, OTHER, bare, running
from tests.k8s.objects import ROOT

pytestmark = pytest.mark.server


@pytest.fixture
def project(tmp_path):
    """A copy of the manifests and scripts, whose overlay `local` a test may change."""
    for name in ("k8s", "monitoring"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "scripts").mkdir()
    for name in ("deploy", "cluster.sh", "smoke", "secret", "outside.py"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    return tmp_path


def with_component(project, name):
    path = project / "k8s/overlays/local/kustomization.yaml"
    path.write_text(path.read_text() + f"components: [../../components/{name}]\n")


@pytest.fixture
def deploy(api, project):
    with_component(project, "migration")
    env = bare(project) | {"KUBECONFIG": str(api.kubeconfig(project / "kubeconfig"))}

    def run(image, *words):
        api.writes.clear()
        command = [project / "scripts/deploy", "--overlay", "local", "--no-smoke", "--timeout", "60s", "--image", image]
        return subprocess.run([*command, *words], env=env, capture_output=True, text=True, timeout=120)

    return run


def image_of_job(api):
    return api.cluster.get(JOBS, "lockstep", "lockstep-migrate")["spec"]["template"]["spec"]["containers"][0]["image"]


def test_the_job_runs_before_the_pods_are_replaced_and_again_in_the_next_rollout(deploy, api):
    for image in (GOOD, OTHER):
        done = deploy(image)
        assert done.returncode == 0, done.stderr
        assert (running(api), image_of_job(api)) == (image, image)
        assert api.writes.index("jobs/lockstep-migrate") < api.writes.index("deployments/flask-app")
        assert api.writes.count("jobs/lockstep-migrate") == 1
    assert "-jobs/lockstep-migrate" in api.writes


def test_what_the_job_needs_is_there_before_it(deploy, api):
    assert deploy(GOOD).returncode == 0
    needed = [own for own in api.writes if own.startswith(("serviceaccounts/", "configmaps/", "networkpolicies/"))]
    assert len(needed) > 5
    assert api.writes.index("jobs/lockstep-migrate") > max(api.writes.index(own) for own in needed)


@pytest.mark.long("deploys once more")
def test_a_failed_migration_leaves_the_pods_as_they_are(deploy, api):
    assert deploy(GOOD).returncode == 0
    done = deploy(BAD)
    assert (done.returncode, running(api)) == (1, GOOD)
    assert "error: the prediction log was not migrated" in done.stderr
    assert "deployments/flask-app" not in api.writes


def test_a_rollout_for_which_this_script_cannot_wait_is_refused_before_anything_changes(api, project):
    with_component(project, "rollout")
    env = bare(project) | {"KUBECONFIG": str(api.kubeconfig(project / "kubeconfig"))}
    command = [project / "scripts/deploy", "--overlay", "local", "--image", GOOD]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert (done.returncode, api.writes, api.cluster.find(DEPLOYMENTS, None)) == (1, [], [])
    assert "the overlay local has a Rollout" in done.stderr


@pytest.mark.long("starts the command of the job")
def test_the_command_of_the_job_is_one_of_the_image(tmp_path):
    """It creates the tables, and once they are there it changes nothing."""
    job = yaml.safe_load((ROOT / "k8s/components/migration/job.yaml").read_text())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    env = os.environ | {"DATABASE_URL": f"sqlite:///{tmp_path / 'log.db'}", "LOCKSTEP_STATE": str(tmp_path)}
    (tmp_path / "params.yaml").write_bytes((ROOT / "examples/breast-cancer.yaml").read_bytes())
    for _ in range(2):
        done = subprocess.run(container["command"], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert "the tables of the prediction log are those of this version" in done.stdout
    assert (tmp_path / "log.db").stat().st_size > 0
