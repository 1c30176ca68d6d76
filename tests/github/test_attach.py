"""scripts/attach and scripts/scan: a real registry, by its HTTP API; the scanners are stand-ins."""

import contextlib
import hashlib
import json
import os
import shutil
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler

import pytest

from tests import container_registry, http_stand_in, ops
from tests.github.test_push import TAG, ecr, push, registry  # noqa: F401 - fixtures

INDEX = "application/vnd.oci.image.index.v1+json"
LABELS = {"org.opencontainers.image.revision": TAG, "lockstep.model.sha256": "a" * 64, "other": "x"}
KINDS = ["application/vnd.cyclonedx+json", "application/vnd.in-toto+json"]


class PlainRegistry(container_registry.Registry):
    """docker-registry without TLS and without a password."""

    def __init__(self, folder):
        super().__init__(folder, "", "")
        config = json.loads((folder / "registry.yml").read_text())
        del config["auth"], config["http"]["tls"]
        (folder / "registry.yml").write_text(json.dumps(config))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    if not shutil.which("docker-registry"):
        pytest.skip("docker-registry is not here: apt-get install docker-registry")
    made = PlainRegistry(tmp_path_factory.mktemp("plain") / "registry")
    made.start()
    yield made
    made.stop()


class WithReferrers(BaseHTTPRequestHandler):
    """The registry with the API for referrers, which Debian's lacks: the answers that the specification of OCI has."""

    def do(self):
        _, _, subject = self.path.partition("/referrers/")
        if self.command == "GET" and subject:
            content = {"schemaVersion": 2, "mediaType": INDEX, "manifests": self.server.referrers.get(subject, [])}
            return self.answer(200, {"Content-Type": INDEX}, json.dumps(content).encode())
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {key: value for key, value in self.headers.items() if key not in ("Host", "Content-Length")}
        request = urllib.request.Request(self.server.goal + self.path, content or None, headers, method=self.command)
        if self.command in ("POST", "PUT"):
            request.data = content
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                status, sent, read = response.status, dict(response.headers), response.read()
        except urllib.error.HTTPError as error:
            status, sent, read = error.code, dict(error.headers), error.read()
        if self.command == "PUT" and "/manifests/" in self.path and b'"subject"' in content:
            manifest, digest = json.loads(content), f"sha256:{hashlib.sha256(content).hexdigest()}"
            listed = self.server.referrers.setdefault(manifest["subject"]["digest"], [])
            if digest not in [each["digest"] for each in listed]:
                listed.append({"digest": digest, "artifactType": manifest["artifactType"], "size": len(content)})
            sent["OCI-Subject"] = manifest["subject"]["digest"]
        return self.answer(status, sent, read)

    do_GET = do_HEAD = do_POST = do_PUT = do

    def answer(self, status, headers, content):
        self.send_response(status)
        for key, value in headers.items():
            if key not in ("Content-Length", "Transfer-Encoding", "Connection", "Date", "Server"):
                self.send_header(key, value.replace(self.server.goal, f"http://127.0.0.1:{self.server.server_port}"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *words):
        pass


@contextlib.contextmanager
def with_referrers(goal):
    with http_stand_in.running(WithReferrers, goal=goal, referrers={}) as server:
        yield f"127.0.0.1:{server.server_port}"


@pytest.fixture(params=["tag", "api"])
def host(request, plain):
    """A registry without the API for referrers, and the same with it."""
    own = f"127.0.0.1:{plain.port}"
    if request.param == "tag":
        yield own
    else:
        with with_referrers(f"http://{own}") as address:
            yield address


@pytest.fixture
def image(host, request):
    name = f"app-{abs(hash(request.node.name)) % 10**8}"
    client = container_registry.Client(host, name, "")
    client.address = client.address.replace("https:", "http:")
    return f"{host}/{name}@{client.put('1', LABELS)}"


@pytest.fixture
def sbom(tmp_path):
    path = tmp_path / "sbom.json"
    path.write_text(json.dumps({"bomFormat": "CycloneDX", "components": [{"purl": "pkg:pypi/flask@3.1.2"}]}))
    return path


def attach(*words, **variables):
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "REGISTRY_"))}
    return ops.run(ops.ROOT / "scripts/attach", *words, env=kept | variables)


def get(image, path):
    host, _, rest = image.partition("/")
    address = f"http://{host}/v2/{rest.partition('@')[0]}/{path}"
    accept = {"Accept": f"application/vnd.oci.image.manifest.v1+json, {INDEX}"}
    with urllib.request.urlopen(urllib.request.Request(address, headers=accept), timeout=10) as response:
        return response.read()


RUN = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "own/er", "GITHUB_RUN_ID": "7"}
RUN |= {"GITHUB_WORKFLOW_REF": "own/er/.github/workflows/deploy.yml@refs/heads/main", "GITHUB_REF": "refs/heads/main"}


def test_both_documents_refer_to_the_image_and_twice_is_once(image, sbom, host, plain):
    done = attach(image, sbom, "--plain-http", **RUN)
    assert done.returncode == 0, done.stderr
    listed = attach(image, "--list", "--plain-http").stdout
    digests = [line.split()[0] for line in listed.splitlines()]
    assert [line.split()[1] for line in listed.splitlines()] == KINDS
    assert attach(image, sbom, "--plain-http", **RUN).returncode == 0
    assert attach(image, "--list", "--plain-http").stdout == listed

    manifests = [json.loads(get(image, f"manifests/{digest}")) for digest in digests]
    assert {each["subject"]["digest"] for each in manifests} == {image.partition("@")[2]}
    contents = [get(image, f"blobs/{each['layers'][0]['digest']}") for each in manifests]
    assert contents[0] == sbom.read_bytes()
    statement = json.loads(contents[1])
    assert statement["subject"][0]["digest"] == {"sha256": image.partition("@sha256:")[2]}
    definition = statement["predicate"]["buildDefinition"]
    commit, model = definition["resolvedDependencies"]
    assert commit == {"uri": "git+https://github.com/own/er", "digest": {"gitCommit": TAG}}
    assert model == {"name": "model", "annotations": {"lockstep.model.sha256": "a" * 64}}
    assert definition["externalParameters"]["workflow"]["path"] == "own/er/.github/workflows/deploy.yml"
    assert statement["predicate"]["runDetails"]["metadata"]["invocationId"].endswith("own/er/actions/runs/7")

    tag = image.partition("@")[2].replace(":", "-")
    tagged = any(name.endswith(tag) and image.split("/")[1].partition("@")[0] in name for name in plain.state())
    assert tagged == (host == f"127.0.0.1:{plain.port}"), "a tag is written only where the API is missing"


def test_a_changed_document_is_attached_beside_the_one_of_before(image, sbom):
    assert attach(image, sbom, "--plain-http").returncode == 0
    sbom.write_text(sbom.read_text().replace("3.1.2", "3.1.3"))
    assert attach(image, sbom, "--plain-http").returncode == 0
    kinds = [line.split()[1] for line in attach(image, "--list", "--plain-http").stdout.splitlines()]
    assert sorted(kinds) == sorted([KINDS[0], *KINDS])


@pytest.mark.long("pushes an image")
def test_the_image_that_scripts_push_printed_gets_both(push, sbom):  # noqa: F811
    done = push()
    assert done.returncode == 0, done.stderr
    image = done.stdout.strip()
    done = ops.run(ops.ROOT / "scripts/attach", image, sbom, env=push.environment)
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stderr.splitlines()] == KINDS


NOWHERE = f"127.0.0.1:1/app@sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("image", "content", "said"),
    [
        ("app@sha256:1", "{}", "is no image by digest"),
        ("127.0.0.1:1/app:latest", "{}", "is no image by digest"),
        (NOWHERE, "{}", "is no bill of materials of CycloneDX"),
        (NOWHERE, "[", "is no bill of materials"),
        (
            f"127.0.0.1:1/app@sha256:{'a' * 64}",
            '{"bomFormat": "CycloneDX"}',
            "the registry 127.0.0.1:1 does not answer",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path, image, content, said):
    (tmp_path / "sbom.json").write_text(content)
    done = attach(image, tmp_path / "sbom.json", "--plain-http")
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "hint: " in done.stderr


def test_an_image_that_is_not_there_gets_nothing(image, sbom):
    missing = image.partition("@")[0] + f"@sha256:{'b' * 64}"
    done = attach(missing, sbom, "--plain-http")
    assert (done.returncode, f"error: there is no {missing}" in done.stderr) == (1, True)


def scan(tmp_path, *words, **codes):
    """Run scripts/scan with these scanners, each of which ends with its code and notes its words."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "dirname", "env"):
        (folder / name).symlink_to(shutil.which(name))
    for name, code in codes.items():
        path = folder / name.replace("_", "-")
        path.write_text(f'#!/bin/sh\necho {path.name} "$*" >> {tmp_path}/calls\nexit {code}\n')
        path.chmod(0o755)
    done = ops.run(ops.ROOT / "scripts/scan", *words, env={"PATH": str(folder), "GITHUB_ACTIONS": "true"})
    return done, (tmp_path / "calls").read_text().splitlines() if (tmp_path / "calls").exists() else []


@pytest.mark.parametrize(
    ("codes", "code", "names"),
    [
        ({"trivy": 0, "grype": 1, "pip_audit": 0}, 0, ["trivy", "pip-audit"]),
        ({"trivy": 1, "pip_audit": 0}, 1, ["trivy", "pip-audit"]),
        ({"grype": 2, "pip_audit": 0}, 1, ["grype", "pip-audit"]),
        ({"trivy": 0, "pip_audit": 1}, 1, ["trivy", "pip-audit"]),
    ],
)
def test_the_scan_is_a_gate_where_a_scanner_is_at_hand(tmp_path, codes, code, names):
    done, calls = scan(tmp_path, "registry.test/flask-app:1", **codes)
    assert (done.returncode, [call.split()[0] for call in calls]) == (code, names)
    assert "registry.test/flask-app:1" in calls[0]
    assert "requirements-serve.lock" in calls[1]
    assert "NOT SCANNED" not in done.stderr


def test_what_is_not_scanned_is_said_loudly_and_is_an_error_if_it_is_required(tmp_path):
    done, _ = scan(tmp_path)
    assert done.returncode == 0
    assert "NOT SCANNED: flask-app:local by trivy or grype, and requirements-serve.lock by pip-audit" in done.stderr
    assert done.stdout.startswith("::warning title=not scanned::")
    (tmp_path / "again").mkdir()
    done, _ = scan(tmp_path / "again", "--require", trivy=0)
    assert done.returncode == 1
    assert "NOT SCANNED: requirements-serve.lock by pip-audit" in done.stderr
