"""What the files of image and stack say, without an engine."""

import fnmatch
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from setuptools import find_packages

from lockstep.config.settings import SETTINGS

ROOT = Path(__file__).parents[2]
DOCKERFILES = ("Dockerfile", "compose/mlflow.Dockerfile")
VARIABLES = {name for setting in SETTINGS for name in setting.variables}
SECRETS = {name for setting in SETTINGS if setting.secret for name in setting.variables}
PASSWORDS = {"POSTGRES_PASSWORD": "a", "GRAFANA_PASSWORD": "b"}


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def tool(name):
    """Return where a tool of operations is, or skip."""
    found = ROOT / ".venv-ops/bin" / name
    if not found.is_file():
        pytest.skip(f"{name} is not installed: `make setup-ops`")
    return found


def ran(*command, **options):
    done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True, **options)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load(read("compose.yaml"))


@pytest.fixture(scope="module")
def services(compose):
    return compose["services"]


def test_the_image_is_built_and_the_stack_runs_for_real(pytestconfig):
    if not pytestconfig.getoption("image"):
        pytest.skip("no image is built and no stack is run here, it takes minutes: `make test-image` does")
    assert {path.name for path in Path(__file__).parent.glob("test_*.py")} > {"test_files.py"}


@pytest.mark.parametrize("file", DOCKERFILES)
def test_hadolint_finds_nothing(file):
    assert ran(tool("hadolint"), file) == (0, "")


def test_shellcheck_finds_nothing():
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file() and read(path).startswith("#!/bin/sh")]
    assert len(scripts) >= 5
    assert ran(tool("shellcheck"), *scripts, *(ROOT / "tests/image/standins").glob("*.sh")) == (0, "")


def test_the_compose_file_is_one():
    code, said = ran(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "compose.yaml")
    assert code == 0, said


def compose_command():
    """Return the command that reads compose files, or skip."""
    command = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    if not shutil.which(command[0]) or ran(*command, "version")[0]:
        pytest.skip("neither docker-compose nor docker compose is installed: apt-get install docker-compose")
    return command


def config(passwords, folder):
    command = compose_command()
    kept = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    (folder / "empty").touch()
    return ran(*command, "--env-file", folder / "empty", "config", "-q", env=kept | passwords)


def test_compose_reads_it(tmp_path):
    code, said = config(PASSWORDS, tmp_path)
    assert (code, said.strip()) == (0, "")


@pytest.mark.parametrize("missing", PASSWORDS)
def test_a_password_that_is_not_set_is_named(missing, tmp_path):
    code, said = config({name: value for name, value in PASSWORDS.items() if name != missing}, tmp_path)
    assert code != 0
    assert missing in said
    assert "make up" in said


def test_every_variable_of_the_app_is_a_setting(services):
    assert set(services["app"]["environment"]) - VARIABLES == set()
    assert {"DATABASE_URL", "MLFLOW_TRACKING_URI"} <= set(services["app"]["environment"])


def environment_of(dockerfile):
    """Return the variables that a Dockerfile sets for good."""
    joined = re.sub(r"\\\n", " ", read(dockerfile))
    last = joined.split("\nFROM ")[-1]
    lines = [line[4:] for line in last.splitlines() if line.startswith("ENV ")]
    return dict(pair.split("=", 1) for line in lines for pair in line.split())


def test_every_variable_of_the_image_is_a_setting():
    own = environment_of("Dockerfile")
    assert set(own) - VARIABLES == {"PATH", "HOME", "PYTHONDONTWRITEBYTECODE"}
    assert set(own) & SECRETS == set()
    assert (own["HOST"], own["LOCKSTEP_STATE"]) == ("0.0.0.0", "/var/lib/lockstep")


def test_ports_agree(services):
    port = next(setting.default for setting in SETTINGS if setting.name == "port")
    assert environment_of("Dockerfile")["PORT"] == port
    assert f"EXPOSE {port}\n" in read("Dockerfile")
    assert [one.rsplit(":", 1)[1] for one in services["app"]["ports"]] == [port]
    assert f'"app:{port}"' in read("compose/prometheus.yml")
    assert services["app"]["environment"]["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"
    assert "--port=5000" in services["mlflow"]["command"]
    assert "--allowed-hosts=mlflow:5000" in ",".join(services["mlflow"]["command"])
    assert services["grafana"]["environment"]["PROMETHEUS_URL"] == "http://prometheus:9090"
    assert services["prometheus"]["ports"][0].endswith(":9090")


def test_ports_are_of_this_host_alone(services):
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert len(published) >= 5
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []
    assert "ports" not in services["postgres"]


def test_what_is_mounted_exists(services):
    mounted = [volume for service in services.values() for volume in service.get("volumes", [])]
    files = [volume.split(":") for volume in mounted if volume.startswith("./")]
    assert [source for source, *_ in files if not (ROOT / source).exists()] == []
    assert {mode for _, _, mode in files} == {"ro"}


def test_data_lie_in_named_volumes(compose, services):
    used = {volume.split(":")[0] for one in services.values() for volume in one["volumes"] if volume[0] not in "./"}
    assert used == set(compose["volumes"])
    for name, service in services.items():
        assert any(volume[0] not in "./" for volume in service["volumes"]), name


def test_every_service_is_watched_restarted_and_has_few_rights(services):
    for name, service in services.items():
        assert service["restart"] == "unless-stopped", name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "healthcheck" in service or name == "app", name
        assert service.get("read_only") or name == "grafana", name
        assert not {"privileged", "network_mode", "pid"} & set(service), name
    assert "HEALTHCHECK" in read("Dockerfile")
    waited = {need: how["condition"] for one in services.values() for need, how in one.get("depends_on", {}).items()}
    assert waited == dict.fromkeys(("postgres", "mlflow", "prometheus"), "service_healthy")


def test_images_of_others_have_a_version(services):
    for name in services.keys() - {"app", "mlflow"}:
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?", services[name]["image"]), name


def test_no_password_stands_in_the_file(services):
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|KEY|SECRET", name):
                assert re.fullmatch(r"\$\{\w+:[-?].*\}", value), name
    assert re.findall(r"://\w+:(?!\$\{)\S*@", read("compose.yaml")) == []


def test_the_example_of_env_names_what_compose_asks(services):
    asked = set(re.findall(r"\$\{(\w+)", read("compose.yaml")))
    named = set(re.findall(r"(?m)^#?([A-Z_]+)=", read(".env.example")))
    assert named == asked
    set_there = dict(re.findall(r"(?m)^([A-Z_]+)=(.*)$", read(".env.example")))
    assert set(set_there.values()) == {""}
    assert set(PASSWORDS) <= set(set_there)


def test_the_first_call_draws_passwords_and_the_next_keeps_them(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "scripts/compose", tmp_path / "scripts/compose")
    shutil.copy(ROOT / ".env.example", tmp_path / ".env.example")
    for name, code in (("docker", 1), ("docker-compose", 0)):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\necho {name} $*\nexit {code}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    kept = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    code, said = ran(tmp_path / "scripts/compose", "up", env=kept)
    assert (code, said.splitlines()[-1]) == (0, "docker-compose up")
    drawn = (tmp_path / ".env").read_text()
    values = [line.split("=")[1] for line in drawn.splitlines() if re.match("[A-Z]", line)]
    assert len(values) == len(set(values)) >= 3
    assert min(map(len, values)) >= 32
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    ran(tmp_path / "scripts/compose", "up", env=kept)
    assert (tmp_path / ".env").read_text() == drawn


@pytest.mark.parametrize("part", ["rule_files", "global"])
def test_prometheus_is_set_up_as_outside_compose(part):
    assert (
        yaml.safe_load(read("compose/prometheus.yml"))[part] == yaml.safe_load(read("monitoring/prometheus.yml"))[part]
    )


def test_prometheus_knows_services_by_their_names(services):
    inside, outside = (yaml.safe_load(read(f"{folder}/prometheus.yml")) for folder in ("compose", "monitoring"))
    named = re.findall(r'"(\w+):\d+"', read("compose/prometheus.yml"))
    assert set(named) <= set(services)
    assert [job["job_name"] for job in inside["scrape_configs"]] == [
        job["job_name"] for job in outside["scrape_configs"]
    ]


def test_promtool_takes_it(tmp_path):
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed here: apt-get install prometheus")
    shutil.copy(ROOT / "compose/prometheus.yml", tmp_path)
    shutil.copytree(ROOT / "monitoring/rules", tmp_path / "rules")
    code, said = ran("promtool", "check", "config", tmp_path / "prometheus.yml")
    assert code == 0, said


def sent(name, lines):
    """Tell whether a file gets into a build: the last line of .dockerignore that fits it decides."""
    out = False
    for line in lines:
        pattern, keep = line.removeprefix("!"), line.startswith("!")
        parents = [name, *(str(parent) for parent in Path(name).parents if str(parent) != ".")]
        tried = [pattern, pattern.removeprefix("**/")] if pattern.startswith("**/") else [pattern]
        anywhere = pattern.startswith("**/")
        if any(_fits(path, one, anywhere) for path in parents for one in tried):
            out = not keep
    return not out


def _fits(path, pattern, anywhere):
    if anywhere and fnmatch.fnmatchcase(Path(path).name, pattern.removeprefix("**/")):
        return True
    return path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("src/lockstep/config/settings.py", True),
        ("src/lockstep/monitoring/pages/report.html", True),
        ("flask_app/templates/form.html", True),
        ("build/model/model.skops", True),
        ("requirements-serve.lock", True),
        ("scripts/slim_image.py", True),
        ("params.yaml", True),
        (".env", False),
        ("flask_app/.env", False),
        ("flask_app/.env.production", False),
        ("src/lockstep/.env", False),
        ("src/lockstep/server.pem", False),
        ("src/lockstep/model.pkl", False),
        ("src/lockstep/__pycache__/config.cpython-311.pyc", False),
        ("src/model_building.py", False),
        ("scripts/lock", False),
        ("build/lib/lockstep/config.py", False),
        (".git/config", False),
        (".lockstep/mlflow.db", False),
        (".dvc/config.local", False),
        ("data/raw/data.parquet", False),
        ("models/model.skops", False),
        ("tests/conftest.py", False),
        (".venv/bin/python", False),
        ("unheard_of.txt", False),
    ],
)
def test_s26_only_what_is_named_gets_into_a_build(name, wanted):
    lines = [line for line in read(".dockerignore").splitlines() if line and not line.startswith("#")]
    assert sent(name, lines) is wanted


@pytest.mark.parametrize(
    "name", [".env", ".lockstep/mlflow.db", "build/model/model.skops", ".venv/bin/python", "data/external/own.csv"]
)
def test_s26_git_ignores_what_is_of_this_machine(name):
    assert ran("git", "check-ignore", "--no-index", name)[0] == 0


def test_s26_what_a_dockerfile_copies_gets_into_a_build():
    lines = [line for line in read(".dockerignore").splitlines() if line and not line.startswith("#")]
    for file in DOCKERFILES:
        copied = [line.split()[1:-1] for line in read(file).splitlines() if re.match(r"COPY (?!--from)", line)]
        for name in [name for names in copied for name in names]:
            assert sent(name, lines), f"{file} copies {name}"
            assert (ROOT / name).exists() or name == "build/model"


def test_no_dockerfile_asks_for_what_an_old_builder_lacks():
    for file in DOCKERFILES:
        assert "# syntax=" not in read(file)
        assert "--mount" not in read(file)
        assert read(file).count("ARG PYTHON_IMAGE=") == 1
        assert set(re.findall(r"(?m)^FROM (\S+)", read(file))) == {"${PYTHON_IMAGE}"}


def test_s32_the_image_is_told_to_run_as_nobody():
    last = read("Dockerfile").split("\nFROM ")[-1]
    assert re.findall(r"(?m)^USER (.+)$", last) == ["10001:10001"]
    assert json.loads(re.search(r"(?m)^ENTRYPOINT (.+)$", last)[1]) == ["lockstep"]
    assert json.loads(re.search(r"(?m)^CMD (.+)$", last)[1]) == ["serve"]


def test_s29_every_locked_file_has_hashes():
    for path in ROOT.glob("requirements-*.lock"):
        entries = re.split(r"\n(?=\S)", path.read_text(encoding="utf-8").strip())
        assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == [], path.name


def test_what_the_server_leaves_out_is_not_locked_for_it():
    locked = set(re.findall(r"(?m)^([\w.-]+)==", read("requirements-serve.lock")))
    assert {"granian", "mlflow-skinny", "numpy", "flask"} <= locked
    left_out = {line.split(" ;")[0] for line in read("requirements-serve.in").splitlines() if not line.startswith("#")}
    assert locked & (left_out | {"pyarrow", "dvc", "mlflow", "matplotlib", "pytest"}) == set()


def test_the_server_has_the_versions_of_the_pipeline():
    """What answers must be what was evaluated, also in its libraries."""
    names = ("requirements-serve.lock", "requirements.lock")
    serve, pipeline = (set(re.findall(r"(?m)^([\w.-]+==[^\s;]+)", read(name))) for name in names)
    assert serve - pipeline == set()
    assert len(serve) > 40


def test_setup_finds_every_package():
    """A folder without `__init__.py` would be left out of a wheel without a word."""
    packages = {*find_packages(str(ROOT / "src")), *find_packages(str(ROOT), include=["flask_app", "flask_app.*"])}
    folders = {
        ".".join(path.parent.relative_to(base).parts)
        for base, top in ((ROOT / "src", "lockstep"), (ROOT, "flask_app"))
        for path in (base / top).rglob("*.py")
    }
    assert packages == folders
