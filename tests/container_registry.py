"""A registry of images on this machine, which programs reach by the name that ECR has, by TLS and with a password."""

import base64
import contextlib
import hashlib
import json
import select
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests import http_stand_in

USER = "AWS"
ACCOUNT = "123456789012"
PASSWORD = f"{ACCOUNT}-auth-token"
"""What moto gives as the password of the account."""

BCRYPT = "$2b$04$1XIYK2yQOFRpc5mGw2WZV.KIyt9Ew97NmwzaowtAxXzHzS8Jr0je6"
"""That password, as the registry has it; the standard library has no bcrypt."""

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def certificate(folder, *names):
    """Write a certificate of its own for names, its key, and a list of authorities that has it."""
    key, public, trusted = folder / "tls.key", folder / "tls.crt", folder / "authorities.crt"
    subject = ",".join(f"DNS:{name}" for name in names)
    words = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=registry", "-addext"]
    command = ["openssl", "req", *words, f"subjectAltName={subject}", "-keyout", key, "-out", public]
    subprocess.run(command, check=True, capture_output=True)
    trusted.write_text(Path(AUTHORITIES).read_text() + public.read_text())
    return key, public, trusted


class Tunnel(BaseHTTPRequestHandler):
    """Leads connections for some names to ports of this machine, as a proxy; others to where they go."""

    def do_CONNECT(self):
        host, _, port = self.path.rpartition(":")
        goal = ("127.0.0.1", self.server.routes[host]) if host in self.server.routes else (host, int(port))
        self.server.asked.append(host)
        try:
            with socket.create_connection(goal, 20) as other:
                self.send_response(200)
                self.end_headers()
                pump(self.connection, other)
        except OSError as error:
            self.send_error(502, str(error))
        self.close_connection = True

    def log_message(self, *words):
        pass


def pump(one, other):
    """Copy bytes between two connections until one ends."""
    with contextlib.suppress(OSError):
        while True:
            for ready in select.select([one, other], [], [], 300)[0]:
                content = ready.recv(1 << 16)
                if not content:
                    return
                (other if ready is one else one).sendall(content)


@contextlib.contextmanager
def proxy(routes):
    """Yield a proxy that leads names to ports: `url` is its address, `routes` may be changed."""
    with http_stand_in.running(Tunnel, routes=dict(routes), asked=[]) as server:
        yield server


class Registry:
    """docker-registry behind TLS, which can be stopped and started again with what it has."""

    def __init__(self, folder, key, public):
        self.folder, self.port, self.process = folder, free_port(), None
        folder.mkdir()
        (folder / "htpasswd").write_text(f"{USER}:{BCRYPT}\n")
        config = {
            "version": "0.1", "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": f"{folder}/stored"}},
            "http": {"addr": f"127.0.0.1:{self.port}", "tls": {"certificate": str(public), "key": str(key)}},
            "auth": {"htpasswd": {"realm": "ecr", "path": f"{folder}/htpasswd"}},
        }  # fmt: skip
        (folder / "registry.yml").write_text(json.dumps(config))

    def start(self):
        with (self.folder / "registry.log").open("ab") as log:
            command = ["docker-registry", "serve", self.folder / "registry.yml"]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise AssertionError((self.folder / "registry.log").read_text())

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def state(self):
        """Return each tag of each repository, and the digest that it names."""
        root = self.folder / "stored/docker/registry/v2/repositories"
        links = root.glob("**/_manifests/tags/*/current/link")
        return {str(path.relative_to(root).parents[1]): path.read_text() for path in links}


class Regions:
    """A registry for each region, by the name that ECR has there; `environment` leads a program to them."""

    def __init__(self, folder, regions):
        names = [f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com" for region in regions]
        key, public, self.authorities = certificate(folder, *names)
        self.of_region = {region: Registry(folder / region, key, public) for region in regions}
        self.routes = {name: self.of_region[region].port for name, region in zip(names, regions, strict=True)}
        self.environment = {"SSL_CERT_FILE": str(self.authorities)}

    def start(self):
        for registry in self.of_region.values():
            registry.start()

    def stop(self):
        for registry in self.of_region.values():
            registry.stop()

    def is_running(self):
        return all(registry.process.poll() is None for registry in self.of_region.values())

    def state(self):
        """Return each tag of each repository by its region, and the digest that it names."""
        regions = self.of_region.items()
        return {f"{region}/{tag}": digest for region, one in regions for tag, digest in one.state().items()}


@contextlib.contextmanager
def ecr(folder, *regions):
    """Yield registries with the names of ECR in some regions, which a proxy leads to."""
    import pytest  # not for the stand-in of Docker, which runs by any Python

    if not shutil.which("docker-registry"):
        pytest.skip("docker-registry is not here: apt-get install docker-registry")
    registries = Regions(folder, regions)
    registries.start()
    try:
        with proxy(registries.routes) as tunnel:
            registries.environment |= {"HTTPS_PROXY": tunnel.url, "https_proxy": tunnel.url}
            yield registries
    finally:
        registries.stop()


class Client:
    """Pushes images of no layers to a repository of a registry, as an engine does."""

    def __init__(self, host, name, password):
        self.address = f"https://{host}/v2/{name}"
        self.authorization = "Basic " + base64.b64encode(f"{USER}:{password}".encode()).decode()

    def put(self, tag, labels, **more):
        """Push an image with these labels, and return the digest of its manifest."""
        config = json.dumps({"config": {"Labels": labels}, **more}).encode()
        digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
        where = self._send("POST", f"{self.address}/blobs/uploads/", b"")["Location"]
        self._send("PUT", f"{where}{'&' if '?' in where else '?'}digest={digest}", config)
        kind = "application/vnd.docker.container.image.v1+json"
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": []}
        manifest["config"] = {"mediaType": kind, "size": len(config), "digest": digest}
        sent = self._send("PUT", f"{self.address}/manifests/{tag}", json.dumps(manifest).encode(), MANIFEST)
        return sent["Docker-Content-Digest"]

    def has(self, tag):
        """Return whether there is such a tag, which stays what it is in ECR."""
        try:
            return bool(self._send("HEAD", f"{self.address}/manifests/{tag}"))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return False
            raise

    def _send(self, method, address, content=None, kind="application/octet-stream"):
        headers = {"Content-Type": kind, "Accept": MANIFEST, "Authorization": self.authorization}
        request = urllib.request.Request(address, content, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.headers
