"""The manifests of k8s/ as they are applied: the tools' opinion, and what must hold between the objects."""

import json
import os
import re

import pytest
import yaml

from tests import ops
from tests.k8s import checks
from tests.k8s.conftest import OVERLAYS, RENDERED
from tests.k8s.objects import ROOT, workloads

VERSIONS = ("1.35", "1.36", "1.37")
CUSTOM = {"ServiceMonitor", "PrometheusRule", "ExternalSecret", "SecretStore", "Application", "DaskCluster"}
CUSTOM |= {"Rollout", "AnalysisTemplate"}
"""Kinds that are no part of Kubernetes, so that its schemas do not know them."""


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_every_object(manifests, version):
    done = ops.run(ops.tool("kubernetes-validate"), "--strict", "-k", version, *sorted(manifests.glob("*.yaml")))
    said = (done.stdout + done.stderr).splitlines()
    unknown = {found[1] for line in said if (found := re.search(r"WARN .*schema for kind (\w+) ", line))}
    assert [line for line in said if not line.startswith(("INFO", "WARN"))] == []
    assert done.returncode == 0
    assert unknown == CUSTOM


def test_s32_to_s35_checkov_finds_nothing_but_the_exceptions(manifests):
    exceptions = yaml.safe_load((ROOT / "tests/k8s/checkov.yaml").read_text())
    words = ("--skip-download", "--compact", "--framework", "kubernetes", "--output", "json")
    done = ops.run(ops.tool("checkov"), *words, "--directory", manifests)
    report = json.loads(done.stdout)
    failed = {(each["check_id"], each["resource"]): each["check_name"] for each in report["results"]["failed_checks"]}
    assert report["summary"]["passed"] > 500
    assert report["summary"]["parsing_errors"] == 0
    assert {key: about for key, about in failed.items() if key[0] not in exceptions} == {}
    assert {key[0] for key in failed} == {*exceptions}, "an exception that nothing needs any more"
    assert all(len(reason) > 40 for reason in exceptions.values())


@pytest.mark.parametrize("name", RENDERED)
def test_everything_fits_together(read, name):
    assert checks.faults(read(name)) == []


def test_the_rules_and_the_dashboard_are_those_of_monitoring(read):
    objects = {each["kind"]: each for each in read("monitoring") if each["kind"] == "PrometheusRule"}
    files = [yaml.safe_load((ROOT / f"monitoring/rules/{name}.yml").read_text()) for name in ("recording", "alerts")]
    assert objects["PrometheusRule"]["spec"]["groups"] == [group for file in files for group in file["groups"]]
    maps = [each for each in read("monitoring") if each["metadata"]["name"] == "lockstep-dashboard"]
    dashboard = (ROOT / "monitoring/grafana/dashboards/lockstep.json").read_text()
    assert [each["data"]["lockstep.json"] for each in maps] == [dashboard]
    assert maps[0]["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_the_canary_differs_in_name_track_image_and_number_alone(read):
    stable, canary = (
        next(each for each in read("canary") if each["metadata"]["name"] == name and each["kind"] == "Deployment")
        for name in ("flask-app", "flask-app-canary")
    )
    text = json.dumps(canary).replace("flask-app-canary", "flask-app").replace('"track": "canary"', '"track": "stable"')
    again = json.loads(text)
    assert again["spec"].pop("replicas") == 1
    for each in (again, stable):  # of the keys, those of the stable pods alone have to be there
        variables = each["spec"]["template"]["spec"]["containers"][0]["env"]
        variables.sort(key=lambda variable: variable["name"])
        for variable in variables:
            variable["valueFrom"]["secretKeyRef"].pop("optional")
    assert again == stable


def test_argo_applies_a_folder_with_an_overlay_and_its_image_by_digest(kubectl, manifests):
    spec = yaml.safe_load((manifests / "application.yaml").read_text())["spec"]
    assert spec["destination"]["namespace"] == checks.NAMESPACE
    assert "kustomize" not in spec["source"], "an image there would hide the one that scripts/gitops commits"
    done = ops.run(kubectl, "kustomize", ROOT / spec["source"]["path"])
    objects = list(yaml.safe_load_all(done.stdout))
    assert checks.faults(objects) == []
    found = {container["image"] for _, _, _, container in workloads(objects)}
    assert found == {f"registry.example.com/flask-app@sha256:{'0' * 64}"}


def test_overlays_can_be_given_an_image_by_its_name(read):
    for name in OVERLAYS:
        found = {container["image"].partition("@")[0] for _, _, _, container in workloads(read(name))}
        assert found == {"flask-app"}


def test_the_image_is_what_the_manifests_take_it_for(read):
    dockerfile = (ROOT / "Dockerfile").read_text()
    given = dict(re.findall(r"^ *(?:ENV )?([A-Z_]+)=(\S+)", dockerfile, re.MULTILINE))
    (settings,) = [each["data"] for each in read("local") if each["kind"] == "ConfigMap"]
    assert f"USER {checks.USER}:{checks.USER}\n" in dockerfile
    assert {key: given[key] for key in ("HOST", "PORT", "LOCKSTEP_STATE")}.items() <= settings.items()
    assert "LOCKSTEP_BAKED_MODEL" in given.keys() - settings.keys()
    assert f"EXPOSE {settings['PORT']}\n" in dockerfile
    assert 'ENTRYPOINT ["lockstep"]\nCMD ["serve"]' in dockerfile


IMAGE = f"registry.test/flask-app@sha256:{'a' * 64}"
SNIPPETS = re.findall(r"```yaml\n(?!apiVersion)(.*?)```", (ROOT / "docs/kubernetes.md").read_text(), re.DOTALL)
MADE = ("LOCKSTEP_DISPATCH_REPO: owner/name", f"image: {IMAGE}")


@pytest.mark.parametrize(("snippet", "made"), [*zip(SNIPPETS, MADE, strict=True)], ids=["settings", "canary"])
def test_the_overlays_of_the_page_render(kubectl, tmp_path, snippet, made):
    repository, _, digest = IMAGE.partition("@")
    given = yaml.safe_load(snippet.replace("REPOSITORY", repository).replace("sha256:...", digest))
    own = tmp_path.resolve() / "overlay"
    own.mkdir()
    k8s = os.path.relpath(ROOT / "k8s", own)
    given["resources"] = [f"{k8s}/overlays/eks"]
    given["components"] = [each.replace("../..", k8s) for each in given.get("components", [])]
    (own / "kustomization.yaml").write_text(json.dumps(given))
    done = ops.run(kubectl, "kustomize", own)
    assert done.returncode == 0, done.stderr
    assert made in done.stdout
    assert checks.faults(list(yaml.safe_load_all(done.stdout))) == []
