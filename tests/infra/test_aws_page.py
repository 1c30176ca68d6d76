"""docs/aws.md, run command by command: real Terraform and aws on moto, real kubectl on a stand-in, a real PostgreSQL.

What has no real part here is a program that records its words: these commands are marked `# account` on the page.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from werkzeug.serving import make_server

from tests import ops
from tests.infra.conftest import OVERRIDE, local_plugins
from tests.k8s.api_server import serving
from tests.k8s.cluster import Cluster
from tests.k8s.conftest import App, bare, image
from tests.k8s.test_registry import variables
from tests.postgres import postgres  # noqa: F401 - a fixture

PAGE = (ops.ROOT / "docs/aws.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
MARK = re.compile(r"\s+# account$")
FAKES = ("eksctl", "helm", "gh", "docker", "make")
BACKEND = """terraform {
  backend "s3" {
    encrypt        = true
    use_lockfile   = true
    use_path_style = true
  }
}
"""
INGRESSES = ("networking.k8s.io/v1", "ingresses")


def commands(block):
    """Return the commands of a block: a line each, with the lines of a here-document after it."""
    found, end = [], None
    for line in block.splitlines():
        if end is not None:
            found[-1] += "\n" + line
            end = None if line == end else end
        elif line.strip() and not line.startswith("#"):
            found.append(line)
            here = re.search(r"<<(\w+)", line)
            end = here and here[1]
    return found


COMMANDS = [command for block in BLOCKS for command in commands(block)]
ACCOUNT = [command for command in COMMANDS if MARK.search(command.splitlines()[0])]


def needs_account(command):
    """Tell whether a command runs a program that has no real part here."""
    words = re.split(r"[\s$(]+", re.sub(r'"[^"]*"', "", command.splitlines()[0]))
    scripts = ("scripts/push", "scripts/eks create", "scripts/eks delete", "aws eks update-kubeconfig")
    return bool({*FAKES} & {*words[:4]}) or any(each in command for each in scripts)


def test_the_page_marks_what_only_a_real_account_proves():
    assert len(COMMANDS) > 25
    assert [command for command in COMMANDS if needs_account(command)] == ACCOUNT


def test_no_secret_stands_on_a_command_line():
    words = ("password", "token", "--from-literal", "PGPASSWORD")
    pages = [path.read_text(encoding="utf-8") for path in sorted((ops.ROOT / "docs").glob("*.md"))]
    blocks = [block for page in pages for block in re.findall(r"```(?:sh)?\n(.*?)```", page, re.DOTALL)]
    lines = [
        line for block in blocks for line in block.splitlines() if line.startswith(("kubectl", "aws", "gh", "scripts/"))
    ]
    assert len(lines) > 30
    assert [line for line in lines if any(word.lower() in line.lower() for word in words)] == []


def test_the_costs_add_up():
    *items, total = [int(found) for found in re.findall(r"^\|[^|]+\| (\d+) \|$", PAGE, re.MULTILINE)]
    assert sum(items) == total
    hourly = float(re.search(r"costs about ([\d.]+) \$ an\s+hour", PAGE)[1])
    assert round(total / 730, 2) == hourly
    assert re.search(r"as of \d{4}-\d{2}", PAGE)


@pytest.fixture
def project(tmp_path):
    """A copy of what git has, as a project of somebody who follows the page."""
    folder = tmp_path / "project"
    listed = ops.run("git", "ls-files", "-z", "--", "infra", "k8s", "scripts", "monitoring")
    for name in filter(None, listed.stdout.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ops.ROOT / name, folder / name)
    shutil.copy(ops.ROOT / "examples/breast-cancer.yaml", folder / "params.yaml")
    (folder / "infra/terraform/test_override.tf").write_text(OVERRIDE)
    (folder / "infra/terraform/backend_override.tf").write_text(BACKEND)
    (folder / "own.env").write_text("LOCKSTEP_ADMIN_TOKEN=of-the-operators-themselves\n")
    (folder / "scripts/push").write_text(f"#!/bin/sh\necho {image('e')}\n")
    author = ("-c", "user.name=own", "-c", "user.email=own@localhost")
    for words in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "first")):
        assert ops.run("git", *author, *words, cwd=folder).returncode == 0
    return folder


def programs(folder, kubeconfig):
    """Write the programs that only record, and `aws`, which leads to the stand-in and to the database's password."""
    folder.mkdir()
    record = f'echo "$(basename "$0") $*" >> {folder}/words\n'
    answers = dict.fromkeys(FAKES, "")
    answers["eksctl"] = (
        f"case $1 in create) tee {folder}/cluster.yaml | {sys.executable} -m tests.infra.eksctl_like ;; esac\n"
    )
    answers["gh"] = "case $1 in api) echo repo:own@1/er@2 ;; esac\n"
    answers["make"] = f"case $* in *push) echo {image('a')} ;; esac\n"
    secret = json.dumps(json.dumps({"username": "lockstep", "password": "none"}))
    login = f"""case "$1 $2" in
    "eks update-kubeconfig")
        [ "$7" = --kubeconfig ] || set -- 1 2 3 4 5 6 7 "$HOME/.kube/config"
        mkdir -p "$(dirname "$8")"
        cp {kubeconfig} "$8"
        exit ;;
    secretsmanager*) echo {secret}; exit ;;
esac
exec {ops.BIN}/aws "$@"
"""
    for name, text in {**answers, "aws": login}.items():
        (folder / name).write_text("#!/bin/sh\n" + (record if name != "aws" else "") + text)
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def account(project, aws_address, tmp_path, postgres, mlflow_server, request):  # noqa: F811
    """The environment of somebody who follows the page, and the stand-in cluster that it leads to."""
    kubectl = ops.program("kubectl", "https://kubernetes.io/docs/tasks/tools")
    ops.program("terraform", "https://developer.hashicorp.com/terraform/install")
    plugins = local_plugins()
    if plugins is None:
        pytest.skip("no AWS provider for Terraform here: TF_PLUGIN_DIR may name a folder that holds one")
    postgres.sql("CREATE DATABASE lockstep")
    app = App(tmp_path / "app")
    with serving(Cluster()) as api:
        api.app_port = app.server.server_port
        api.pod = pod(api, postgres, mlflow_server, tmp_path)
        config = api.kubeconfig(tmp_path / "kubeconfig")
        tools = programs(tmp_path / "tools", config)
        env = bare(tmp_path) | {key: value for key, value in ops.environment(aws_address).items() if "AWS" in key}
        env.pop("KUBECONFIG")
        places = (str(tools), f"{ops.ROOT}/.venv/bin", str(Path(kubectl).parent), os.environ["PATH"])
        path = os.pathsep.join(places)
        env |= {"PATH": path, "PYTHONPATH": f"{ops.ROOT}{os.pathsep}{ops.ROOT}/src", "API_CIDRS": "198.51.100.7/32"}
        env |= {
            "TF_CLI_CONFIG_FILE": os.devnull,
            "CHECKPOINT_DISABLE": "1",
            "PGSSLMODE": "disable",
            "NO_PROXY": "127.0.0.1",
        }
        env |= {"TF_CLI_ARGS_init": f"-plugin-dir={plugins}", "COLUMNS": "300"}
        threads = [threading.Thread(target=app.server.serve_forever)]
        threads.append(threading.Thread(target=balance, args=(api, app, project / "build")))
        for thread in threads:
            thread.start()
        yield env, api, tools
        api.closing = True
        app.server.shutdown()
    for thread in threads:
        thread.join()
    app.server.server_close()


def pod(api, postgres, mlflow_server, folder):  # noqa: F811
    """Return what runs a command of kubectl exec: here, with a pod's variables, and the addresses of this machine."""

    def execute(command, given):
        inside = {"PATH": os.environ["PATH"], "HOME": str(folder), "NO_PROXY": "127.0.0.1"} | variables(api)
        inside["MLFLOW_TRACKING_URI"] = inside.get("MLFLOW_TRACKING_URI", "").replace(
            "http://mlflow:5000", mlflow_server
        )
        inside["LOCKSTEP_STATE"] = str(folder / "state")
        given = re.sub(rb"'host': '[^']*', 'port': \d+", b"'host': '127.0.0.1', 'port': %d" % postgres.port, given)
        place = {"lockstep": [sys.executable, "-m", "lockstep"], "python": [sys.executable]}[command[0]]
        done = subprocess.run(
            [*place, *command[1:]], input=given, env=inside, capture_output=True, cwd=folder / "project"
        )
        return done.returncode, done.stdout, done.stderr

    return execute


def balance(api, app, build):
    """Give an Ingress an address, at which the app answers with the certificate of the page."""
    server = None
    while not api.closing:
        for each in api.cluster.find(INGRESSES, "lockstep"):
            if server is None:
                files = (str(build / "certificate.pem"), str(build / "key.pem"))
                server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=files)
                threading.Thread(target=server.serve_forever, daemon=True).start()
            if "status" not in each:
                place = {"ingress": [{"hostname": f"127.0.0.1:{server.server_port}"}]}
                api.cluster.put(INGRESSES, each | {"status": {"loadBalancer": place}})
        time.sleep(0.2)
    if server:
        server.shutdown()
        server.server_close()


@pytest.mark.long("makes and removes what docs/aws.md describes, on moto and a stand-in cluster; some minutes")
@pytest.mark.server
def test_the_page_leads_from_an_empty_account_to_an_answer_and_back(account, project, tmp_path):
    env, api, tools = account
    script = ["set -eo pipefail", f"cd {project}"]
    for number, command in enumerate(COMMANDS):
        script += [f"echo '@@ {number}' >&2", MARK.sub("", command) if "\n" not in command else command]
    (tmp_path / "page.sh").write_text("\n".join(script) + "\n")
    answered = f"yes yes | bash {tmp_path}/page.sh"
    done = subprocess.run(["bash", "-c", answered], env=env, capture_output=True, text=True, timeout=1500)
    last = int(re.findall(r"^@@ (\d+)$", done.stderr, re.MULTILINE)[-1])
    assert done.returncode == 0, f"{COMMANDS[last]}\n{done.stderr[-4000:]}"
    assert last == len(COMMANDS) - 1

    config = yaml.safe_load((tools / "cluster.yaml").read_text())
    assert (config["metadata"]["region"], config["upgradePolicy"]) == (ops.REGION, {"supportType": "STANDARD"})
    words = (tools / "words").read_text().splitlines()
    assert f"eksctl delete cluster --name lockstep --region {ops.REGION} --disable-nodegroup-eviction --wait" in words
    assert "gh secret set --env production --env-file own.env" in words
    assert done.stdout.count("outside: https://models.example.com answers at 127.0.0.1:") == 3
    assert "registry: mlflow at http://127.0.0.1:" in done.stdout
    assert [key for key in api.cluster.objects if "lockstep" in key[1:]] == []
    left = ops.run(ops.tool("aws"), "s3api", "list-buckets", "--output", "json", env=env)
    names = [each["Name"] for each in json.loads(left.stdout)["Buckets"]]
    assert [name for name in names if name.startswith(("lockstep-dvc", "lockstep-artifacts"))] == []
