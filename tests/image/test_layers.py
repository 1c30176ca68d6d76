"""What lies in the layers of the image, also in those that a later one covers."""

import re

import pytest

from tests.image import engine
from tests.image.conftest import CANARY, opened_layers
from tests.image.engine import docker

pytestmark = pytest.mark.image
FORBIDDEN = re.compile(
    r"(^|/)s?bin/(gcc|cc|g\+\+|c\+\+|clang|ld|as|make|git|curl|wget|pip[\d.]*)$"
    r"|(^|/)(pip|ensurepip|\.git|\.env[^/]*|tests?|conftest\.pyc?)(/|$)"
    r"|\.(pkl|pickle|joblib|pem|key|h|a)$"
)
TRUSTED = re.compile(r"/(certifi|botocore)/cacert\.pem$")
"""Certificates of authorities, which are no secret."""


@pytest.fixture(scope="module")
def members(saved, base_layers):
    """Every file of the layers that are ours."""
    with opened_layers(saved) as (_, layers):
        found = [layer.getmembers() for layer in layers()]
    return [member for layer in found[base_layers:] for member in layer]


def test_s25_no_secret_of_the_build_is_in_any_layer(saved):
    found, seen = [], 0
    with opened_layers(saved) as (config, layers):
        for layer in layers():
            for member in layer:
                if member.isfile():
                    seen += 1
                    found += [member.name] if CANARY.encode() in layer.extractfile(member).read() else []
    assert found == []
    assert seen > 5000
    assert CANARY not in str(config)


def test_s25_the_history_holds_no_secret(image):
    told = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image)
    assert "lockstep" in told
    assert CANARY not in told
    assert not re.search(r"(?i)(token|password|secret|api_key)\s*=", told)


def test_s25_no_compiler_no_pip_no_pickle_no_tests(members):
    named = [member.name for member in members if not member.name.rsplit("/", 1)[-1].startswith(".wh.")]
    assert [name for name in named if FORBIDDEN.search(name) and not TRUSTED.search("/" + name)] == []
    assert len(named) > 3000


def test_s25_what_the_base_brings_of_them_is_out_of_reach(image):
    look = "import shutil; print([n for n in ('gcc', 'cc', 'pip', 'pip3', 'git', 'curl') if shutil.which(n)])"
    assert docker("run", "--rm", "--entrypoint", "python", image, "-c", look).strip() == "[]"
    code = "import importlib.util as u; print([n for n in ('pip', 'ensurepip', 'lib2to3') if u.find_spec(n)])"
    assert docker("run", "--rm", "--entrypoint", "python", image, "-c", code).strip() == "[]"
    find = "find / -xdev \\( -name '*.pkl' -o -name '*.pickle' -o -name '*.joblib' \\)"
    assert docker("run", "--rm", "--user", "0", "--entrypoint", "sh", image, "-c", find) == ""


def test_s32_nothing_in_it_changes_the_user(members):
    assert [member.name for member in members if member.isfile() and member.mode & 0o6000] == []
    assert [member.name for member in members if member.isfile() and member.mode & 0o002] == []


def test_s26_the_context_holds_what_is_named_and_nothing_else(members):
    own = {member.name for member in members if member.name.startswith("app/")}
    assert {"app/params.yaml", "app/model/model.skops", "app/model/registered.json"} <= own
    assert {name.split("/")[1] for name in own} == {"params.yaml", "model", "usecases", ".lockstep"}


def test_the_environment_of_the_image_is_settings_and_paths(image):
    named = {line.split("=")[0] for line in engine.inspect(image)["Config"]["Env"]}
    assert {"HOST", "PORT", "LOCKSTEP_STATE", "LOCKSTEP_BAKED_MODEL", "PYTHONDONTWRITEBYTECODE"} <= named
    assert named <= {
        *("HOST", "PORT", "LOCKSTEP_STATE", "LOCKSTEP_BAKED_MODEL", "PYTHONDONTWRITEBYTECODE", "PATH", "HOME"),
        *("LANG", "GPG_KEY", "PYTHON_VERSION", "PYTHON_SHA256"),
    }
