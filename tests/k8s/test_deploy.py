"""Real kubectl, driven by scripts/deploy and scripts/rollback, against a stand-in API server."""

import re
import shutil
import subprocess

import pytest

from tests.k8s.cluster import DEPLOYMENTS
from tests.k8s.conftest import BAD, GOOD, MUTE, OTHER, bare, running
from tests.k8s.objects import ROOT

pytestmark = pytest.mark.server
needs_time = pytest.mark.usefixtures("time_at_hand")
JOBS = ("batch/v1", "cronjobs")


def versions(api):
    return {key: each["metadata"]["resourceVersion"] for key, each in api.cluster.objects.items()}


def images_of_jobs(api):
    specs = [each["spec"]["jobTemplate"]["spec"]["template"]["spec"] for each in api.cluster.find(JOBS, "lockstep")]
    return {spec["containers"][0]["image"] for spec in specs}


def test_a_good_image_is_applied_rolled_out_and_asked(deploy, api, app):
    done = deploy(GOOD)
    assert done.returncode == 0, done.stderr
    assert running(api) == GOOD
    assert images_of_jobs(api) == {GOOD}
    assert {"/readyz", "/openapi.json", "/predict", "/metrics"} <= set(app.asked)
    assert "ready: demo version 1" in done.stdout
    kinds = {plural for _, plural in [key[0] for key in api.cluster.objects]}
    assert kinds >= {"namespaces", "services", "networkpolicies", "poddisruptionbudgets", "horizontalpodautoscalers"}


def test_without_an_address_the_app_is_asked_through_kubectl(api, app, script, cluster_with_good, tmp_path):
    api.kubeconfig(tmp_path / "kubeconfig")
    api.cluster.restore(cluster_with_good)
    api.app_port = app.server.server_port
    done = script("deploy", "--overlay", "local", "--image", OTHER)
    assert done.returncode == 0, done.stderr
    assert "ready: demo version 1" in done.stdout
    assert [each for each in api.asked if "portforward" in each] != []
    assert app.asked == ["/readyz", "/openapi.json", "/predict", "/metrics"]


def test_plain_kubectl_applies_the_folder_and_finds_nothing_to_change_then(api, kubectl, tmp_path):
    environment = bare(tmp_path) | {"KUBECONFIG": str(api.kubeconfig(tmp_path / "kubeconfig"))}
    command = [kubectl, "apply", "--kustomize", ROOT / "k8s"]
    for left in (1, 0):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert bool(api.writes) == left
        api.writes.clear()
    assert running(api).startswith("registry.example.com/flask-app@sha256:")


@pytest.mark.long("deploys twice")
def test_a_second_run_changes_nothing(redeploy, api):
    before = versions(api)
    done = redeploy(GOOD)
    assert (done.returncode, api.writes) == (0, [])
    assert versions(api) == before
    assert redeploy(OTHER).returncode == 0
    assert api.writes == ["deployments/flask-app", "cronjobs/lockstep-drift", "cronjobs/lockstep-retrain"]


def test_a_bad_image_is_undone_and_the_reason_told(redeploy, api):
    done = redeploy(BAD)
    assert done.returncode == 1
    assert running(api) == GOOD
    assert images_of_jobs(api) == {GOOD}
    assert f"Failed to pull image {BAD}" in done.stderr
    assert "ImagePullBackOff" in done.stderr
    assert "undone, revision 1 serves again" in done.stderr


def test_a_failing_smoke_test_is_undone(redeploy, api):
    done = redeploy(MUTE)
    assert done.returncode == 1
    assert running(api) == GOOD
    assert images_of_jobs(api) == {GOOD}
    assert "/predict answers 500" in done.stderr
    assert "do not answer right; undone, revision 1 serves again" in done.stderr


@needs_time
def test_another_model_version_than_wanted_is_undone(redeploy, api):
    done = redeploy(OTHER, "--version", "7")
    assert (done.returncode, running(api)) == (1, GOOD)
    assert "version 1 of demo serves, and not 7" in done.stderr


@needs_time
def test_a_refused_manifest_is_undone(redeploy, api):
    api.refused = {"networkpolicies"}
    done = redeploy(OTHER)
    assert (done.returncode, running(api)) == (1, GOOD)
    assert "is refused by a policy" in done.stderr


@needs_time
def test_a_first_image_that_fails_has_nothing_to_go_back_to(deploy, api):
    done = deploy(BAD)
    assert (done.returncode, running(api)) == (1, BAD)
    assert "there was nothing before it" in done.stderr


@needs_time
def test_what_this_run_did_not_change_is_not_undone(redeploy, api):
    redeploy(OTHER)
    done = redeploy(OTHER, "--version", "7")
    assert (done.returncode, running(api)) == (1, OTHER)
    assert "nothing was undone" in done.stderr


@needs_time
def test_after_an_undone_image_the_next_one_goes_through(redeploy, api):
    redeploy(BAD)
    assert redeploy(OTHER).returncode == 0
    assert running(api) == OTHER


def test_a_dry_run_prints_the_commands_and_asks_nobody(deploy, api, app):
    done = deploy(GOOD, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert (api.asked, app.asked) == ([], [])
    rendered = ROOT / re.search(r"build/k8s/local-\w+", done.stderr)[0]
    assert (rendered / "kustomization.yaml").is_file(), "so that the commands can be run as they are printed"
    shutil.rmtree(rendered)
    for part in ("kubectl kustomize", "apply --server-side", "rollout status deployment/flask-app", "scripts/smoke"):
        assert part in done.stderr, part


TAGS = ["registry.test/flask-app:latest", "registry.test/flask-app", "flask-app:1@sha256:abc", GOOD + "0"]


@pytest.mark.parametrize("wanted", TAGS)
def test_s35_anything_but_a_digest_is_refused(deploy, api, wanted):
    done = deploy(wanted)
    assert done.returncode == 1
    assert "is not an image by digest" in done.stderr
    assert api.asked == []


@pytest.mark.parametrize(
    ("words", "variables", "said"),
    [
        (["--image"], {}, "--image needs a value"),
        (["--imag", GOOD], {}, "unknown argument --imag"),
        ([], {}, "no --image"),
        (["--image", GOOD, "--overlay", "moon"], {}, "there is no overlay moon"),
        (["--image", GOOD], {}, "the cluster does not answer"),
        (["--image", GOOD, "--context", "nowhere"], {}, "the cluster does not answer"),
        (["--image", GOOD, "--cluster", "lockstep"], {}, "AWS_REGION is not set"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_missing_is_named_with_a_hint(kubectl, script, words, variables, said):
    done = script("deploy", *words, **variables)
    assert done.returncode == 1
    assert said in done.stderr
    assert "hint: " in done.stderr


@pytest.mark.parametrize(
    ("missing", "words", "variables"),
    [("kubectl", [], {}), ("aws", ["--cluster", "lockstep"], {"AWS_REGION": "us-east-1"})],
)
def test_a_missing_tool_is_named(kubectl, script, tmp_path, missing, words, variables):
    (tmp_path / "bin").mkdir()
    for tool in {"bash", "dirname", "basename", "sed", "ls", "mkdir", "cat", "kubectl", "aws"} - {missing}:
        if found := shutil.which(tool):
            (tmp_path / "bin" / tool).symlink_to(found)
    done = script("deploy", "--image", GOOD, *words, PATH=str(tmp_path / "bin"), **variables)
    assert done.returncode == 1
    assert f"{missing} is not installed" in done.stderr


def test_who_may_not_deploy_is_told_so(deploy, api):
    api.allowed = False
    done = deploy(GOOD)
    assert (done.returncode, api.writes) == (1, [])
    assert "you may not change deployments" in done.stderr


@pytest.mark.parametrize("name", ["deploy", "rollback"])
def test_what_argo_keeps_is_left_to_argo(redeploy, api, name):
    kept = api.cluster.get(DEPLOYMENTS, "lockstep", "flask-app")
    kept["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = "lockstep:apps/Deployment:lockstep/flask-app"
    api.cluster.put(DEPLOYMENTS, kept)
    done = redeploy(OTHER, name=name)
    assert (done.returncode, api.writes, running(api)) == (1, [], GOOD)
    assert "Argo CD keeps deployment/flask-app" in done.stderr


def test_rollback_goes_one_back_or_to_a_revision(redeploy, api, script):
    redeploy(OTHER)
    done = redeploy("", name="rollback")
    assert done.returncode == 0, done.stderr
    assert running(api) == GOOD
    listed = script("rollback", "--list").stdout.splitlines()
    assert [(line.split()[0], line.split()[-1]) for line in listed[1:]] == [("3", GOOD), ("2", OTHER)]
    assert redeploy("", "--to-revision", "2", name="rollback").returncode == 0
    assert running(api) == OTHER
    done = redeploy("", "--to-revision", "4", name="rollback")
    assert (done.returncode, api.writes) == (0, []), done.stderr


@needs_time
def test_rollback_says_when_there_is_nothing_to_go_back_to(redeploy):
    done = redeploy("", name="rollback")
    assert done.returncode == 1
    assert "there is no revision to go back to" in done.stderr


@needs_time
def test_rollback_to_what_does_not_answer_fails(redeploy, api):
    redeploy(MUTE, "--no-smoke")
    redeploy(GOOD)
    done = redeploy("", name="rollback")
    assert (done.returncode, running(api)) == (1, MUTE)
    assert "do not answer right" in done.stderr


@pytest.mark.parametrize("name", ["deploy", "rollback", "teardown", "smoke"])
def test_each_script_explains_itself(script, name):
    done = script(name, "--help")
    assert done.returncode == 0
    assert f"scripts/{name} --" in done.stdout
    assert "--dry-run" in done.stdout
