"""Push and pull by digest, with a real registry on this machine."""

import re
import shutil
import subprocess
import urllib.request

import pytest

from tests.image import engine
from tests.image.engine import docker
from tests.serving.real import free_port, wait_for

pytestmark = pytest.mark.image


@pytest.fixture
def registry(tmp_path):
    if not shutil.which("docker-registry"):
        pytest.skip("docker-registry is not installed here: apt-get install docker-registry")
    port = free_port()
    (tmp_path / "registry.yml").write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path / 'stored'}}}}}\n"
        f"http: {{addr: 127.0.0.1:{port}}}\nlog: {{level: error}}\n"
    )
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", tmp_path / "registry.yml"], stdout=log, stderr=log)
    try:
        wait_for(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=2).status == 200, 20)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def test_what_is_pulled_by_digest_is_what_was_pushed(image, registry, rows, written):
    there = f"{registry}/lockstep:1"
    docker("tag", image, there)
    digest = re.search(r"digest: (sha256:[0-9a-f]{64})", docker("push", there))[1]
    own = engine.inspect(image)["Id"]
    docker("rmi", there)
    pulled = f"{registry}/lockstep@{digest}"
    docker("pull", pulled)
    try:
        assert engine.inspect(pulled)["Id"] == own
        with engine.running(pulled) as container:
            container.until_ready(60)
            status, _, content = engine.ask(container.port, "POST", "/predict", {"rows": rows[:1]})
        assert (status, content["predictions"][0]["prediction"]) == (200, written[0]["prediction"])
    finally:
        docker("rmi", pulled)
    unknown = docker("pull", f"{registry}/lockstep@sha256:{'0' * 64}", ok=False)
    assert unknown.returncode != 0
