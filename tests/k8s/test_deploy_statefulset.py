"""scripts/deploy and scripts/rollback with the component `statefulset`, by real kubectl."""

import shutil
import subprocess

import pytest

from tests.k8s.cluster import DEPLOYMENTS, STATEFUL_SETS
from tests.k8s.conftest import BAD, GOOD, OTHER, bare
from tests.k8s.objects import ROOT

pytestmark = pytest.mark.server


@pytest.fixture
def script(api, tmp_path):
    """Return a function that runs a script in a copy of the project whose overlay `local` has the component."""
    for name in ("k8s", "monitoring"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "scripts").mkdir()
    for name in ("deploy", "rollback", "cluster.sh", "smoke", "secret", "outside.py"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    path = tmp_path / "k8s/overlays/local/kustomization.yaml"
    plain = path.read_text()
    env = bare(tmp_path) | {"KUBECONFIG": str(api.kubeconfig(tmp_path / "kubeconfig"))}

    def run(name, *words, component="components: [../../components/statefulset]\n"):
        path.write_text(plain + component)
        more = ["--overlay", "local"] if name == "deploy" else []
        command = [tmp_path / "scripts" / name, *more, "--no-smoke", "--timeout", "5s", *words]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)

    return run


def running(api):
    found = api.cluster.get(STATEFUL_SETS, "lockstep", "flask-app")
    return found and found["spec"]["template"]["spec"]["containers"][0]["image"]


@pytest.mark.long("deploys twice")
def test_an_image_is_rolled_out_and_a_bad_one_undone(script, api):
    done = script("deploy", "--image", GOOD)
    assert done.returncode == 0, done.stderr
    assert (running(api), api.cluster.find(DEPLOYMENTS, None)) == (GOOD, [])
    done = script("deploy", "--image", BAD)
    assert (done.returncode, running(api)) == (1, GOOD), done.stderr
    assert "undone, revision 1 serves again" in done.stderr


@pytest.mark.long("deploys twice")
def test_rollback_lists_revisions_and_goes_back(script, api):
    for image in (GOOD, OTHER):
        assert script("deploy", "--image", image).returncode == 0
    listed = script("rollback", "--list")
    assert [line.split()[0::2] for line in listed.stdout.splitlines()[1:]] == [["1", GOOD], ["2", OTHER]], listed.stderr
    done = script("rollback")
    assert (done.returncode, running(api)) == (0, GOOD), done.stderr


def test_a_deployment_of_before_is_named_and_not_doubled(script, api):
    assert script("deploy", "--image", GOOD, component="").returncode == 0
    api.writes.clear()
    done = script("deploy", "--image", OTHER)
    assert (done.returncode, api.writes, running(api)) == (1, [], None)
    assert "deployment/flask-app serves, and the overlay local has statefulset/flask-app" in done.stderr
    assert "delete deployment/flask-app" in done.stderr
