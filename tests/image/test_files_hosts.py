"""The compose files of three hosts, each on top of compose.yaml."""

import os
import re

import pytest
import yaml

from tests.image.test_files import PASSWORDS, ROOT, ran, read, tool
from tests.image.test_files import compose_command as command

HOSTS = sorted(path.stem for path in (ROOT / "compose/hosts").glob("*.yaml"))
ADDRESSES = {"APP_HOST": "10.0.0.1", "DATA_HOST": "10.0.0.2"}


def services(name):
    return yaml.safe_load(read(name))["services"]


def started(host):
    """Return the services that the command in a file's comment starts, and those that they wait for."""
    words = re.search(r"scripts/compose .* up (.+)", read(f"compose/hosts/{host}.yaml"))[1].split()
    named = {word for word in words if not word.startswith("--")}
    waited = {need for name in named for need in services("compose.yaml")[name].get("depends_on", {})}
    return named | (set() if "--no-deps" in words else waited)


@pytest.mark.parametrize("host", HOSTS)
def test_a_file_of_a_host_is_a_compose_file(host):
    code, said = ran(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", f"compose/hosts/{host}.yaml")
    assert code == 0, said


@pytest.mark.parametrize("host", HOSTS)
def test_compose_reads_the_files_of_a_host(host, tmp_path):
    (tmp_path / "empty").touch()
    merged = ("--env-file", tmp_path / "empty", "-f", "compose.yaml", "-f", f"compose/hosts/{host}.yaml")
    kept = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"} | PASSWORDS
    code, said = ran(*command(), *merged, "config", "-q", env=kept)
    assert code != 0 and "_HOST" in said, said
    assert ran(*command(), *merged, "config", "-q", env=kept | ADDRESSES) == (0, "")


def test_every_service_runs_on_one_host():
    assert sorted(name for host in HOSTS for name in started(host)) == sorted(services("compose.yaml"))


def test_what_a_service_asks_for_on_another_host_is_reached_there():
    """By the name that it has on one host, at the port that its host publishes."""
    published = {
        (service, port.rsplit(":", 1)[1]): port.partition(":")[0]
        for host in HOSTS
        for service, own in services(f"compose/hosts/{host}.yaml").items()
        for port in [re.sub(r"\$\{(\w+):[^}]*\}", r"\1", port) for port in own.get("ports", [])]
        if port.split(":")[1] == port.split(":")[2]
    }
    asked = {("app", "postgres", "5432"), ("app", "mlflow", "5000"), ("prometheus", "app", "5000")}
    for service, other, port in asked:
        (host,) = [host for host in HOSTS if service in started(host)]
        named = dict(re.findall(r'"(\w+):\$\{(\w+):', read(f"compose/hosts/{host}.yaml")))
        assert named[other] == published[other, port], (service, other)
    assert ":5432/" in read("compose.yaml") and "http://mlflow:5000" in read("compose.yaml")
