"""Check Python, processor, project, git, DVC remote, tracking server, model files, tokens, state folder and extras.

Example: lockstep doctor --json
"""

import argparse
import configparser
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from lockstep import numeric_pins, paths
from lockstep.config import params_file
from lockstep.config.settings import Settings, model_name
from lockstep.errors import ConfigError, LockstepError, TrackingError
from lockstep.lifecycle import dvc_remote
from lockstep.lifecycle.dvc_remote import RemoteBucket
from lockstep.lifecycle.wandb import MODES
from lockstep.registry import provenance, tracking, tracking_server
from lockstep.registry.model_registry import Capabilities, Registry
from lockstep.runtime.terminal import print_table

SERVE_LOCK = "requirements-serve.lock"
ONLINE_TIMEOUT_S = 60
OF_PODS = ("tracking server", "model files", "tokens", "state folder")
IN_A_POD = (
    *("kubectl", "--namespace", "lockstep", "exec", "deployment/flask-app", "--container", "flask-app"),
    *("--", "lockstep", "doctor", "--json"),
)
OLDEST_PYTHON = (3, 11)
# The packages that each extra of setup.py brings.
EXTRAS = {"boosting": ("lightgbm", "xgboost"), "explain": ("shap",), "dask": ("distributed",), "wandb": ("wandb",)}


Status = Literal["ok", "warn", "fail"]


class Outcome(NamedTuple):
    """How something is, and what to do about it."""

    status: Status
    what: str
    todo: str = ""


@dataclass(frozen=True)
class Finding:
    """One row of the answer: what was looked at, how it is, and what to do."""

    name: str
    status: Status
    what: str
    todo: str = ""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--online", action="store_true", help="also ask the DVC remote and its bucket")
    parser.add_argument("--cluster", action="store_true", help="look from inside a pod, through kubectl")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")
    parser.add_argument("--pins", action="store_true", help="print the variables that pin the numeric libraries")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print one row a check; exit 1 if something fails."""
    if arguments.pins:
        print(*(f"{name}={value}" for name, value in numeric_pins.variables().items()))
        return 0
    checks = _in_a_pod() if arguments.cluster else [_checked(name, each, settings) for name, each in CHECKS.items()]
    if arguments.online:
        checks += _bucket_checks()
        checks.append(_checked("dvc remote online", _remote_answers, settings))
    if arguments.json:
        print(json.dumps([asdict(check) for check in checks]))
    else:
        cells = ((check.name, check.status, check.what, check.todo) for check in checks)
        print_table(("check", "", "found", "what to do"), cells)
    return int(any(check.status == "fail" for check in checks))


def _in_a_pod() -> list[Finding]:
    """Return what `lockstep doctor` says in a pod about what pods need; a registry of the pod's own is no registry.

    Raises ConfigError: no pod answers.
    """
    todo = "kubectl --namespace lockstep get pods; --context of kubectl is its current one"
    try:
        done = subprocess.run(IN_A_POD, capture_output=True, text=True, timeout=ONLINE_TIMEOUT_S, check=False)
        rows = [Finding(**row) for row in json.loads(done.stdout or done.stderr)]
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"kubectl: {error}", todo) from None
    except (ValueError, TypeError):
        raise ConfigError(f"no pod answers: {' '.join((done.stdout + done.stderr).split())[-300:]}", todo) from None
    missing = Finding("tracking server", "fail", "none: pods keep the model of the image", "docs/aws.md, The registry")
    needed = [row for row in rows if row.name in OF_PODS]
    return [missing if (row.name, row.what[:5]) == ("tracking server", "local") else row for row in needed]


def _checked(name: str, check: Callable[[Settings], Outcome], settings: Settings) -> Finding:
    try:
        return Finding(name, *check(settings))
    except LockstepError as error:
        return Finding(name, "fail", error.problem, error.hint)


def _python(_: Settings) -> Outcome:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        return Outcome("fail", version, "install Python 3.11 or newer")
    return Outcome("ok", version)


def _processor(_: Settings) -> Outcome:
    """Check that models get the bytes that dvc.lock records, which takes x86-64-v3."""
    if lacking := numeric_pins.lacking():
        todo = "nothing; outputs may differ from dvc.lock in the last digits: `lockstep verify --tolerance 1e-6`"
        return Outcome("warn", lacking, todo)
    if deviations := numeric_pins.deviations():
        return Outcome("warn", ", ".join(deviations), "load numpy after lockstep, from the locked packages")
    return Outcome("ok", "x86-64-v3; numeric libraries are pinned to it")


def _libraries(_: Settings) -> Outcome:
    """Check that training here has the numeric libraries of the image."""
    lock = paths.root_of(_root()) / SERVE_LOCK
    if not lock.is_file():
        return Outcome("ok", f"not compared with those of the image: no {SERVE_LOCK} here")
    if differing := numeric_pins.other_versions(lock):
        return Outcome("warn", "; ".join(differing), "`make setup` with Python 3.11, that of the image")
    return Outcome("ok", "the versions of the image")


def _root() -> Path:
    return paths.find_root(Path.cwd()) or Path.cwd()


def _project(_: Settings) -> Outcome:
    root = paths.find_root(Path.cwd())
    if root is None:
        return Outcome("fail", f"no params.yaml and dvc.yaml at or above {Path.cwd()}", "go to the project's folder")
    return Outcome("ok", str(root))


def _git(_: Settings) -> Outcome:
    """Check that versions will name the commit that made them."""
    problem = provenance.git_problem()
    if problem:
        return Outcome("warn", f"{problem[0]}: versions name no commit", problem[1])
    return Outcome("ok", f"commit {provenance.git('rev-parse', '--short', 'HEAD')}")


def _params(_: Settings) -> Outcome:
    params = params_file.load(_root() / paths.PARAMS)
    return Outcome("ok", f"model {params.register_model.model_name}, data {params.data_ingestion.named}")


def _remotes() -> tuple[dict[str, dict[str, str]], str]:
    """Return the DVC remotes by name, and the default's name. Raises ConfigError: DVC's configuration is damaged."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read([paths.root_of(_root()) / ".dvc" / file for file in ("config", "config.local")], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigError(f".dvc/config: {' '.join(str(error).split())}", "mend the file") from None
    named = {section: re.fullmatch(r"""'?remote "(.+)"'?""", section) for section in parser.sections()}
    remotes = {match[1]: dict(parser[section]) for section, match in named.items() if match}
    return remotes, parser.get("core", "remote", fallback="")


def _remote(_: Settings) -> Outcome:
    remotes, default = _remotes()
    if not remotes:
        return Outcome("warn", "none: data and models stay here", "`dvc remote add -d storage s3://bucket/path`")
    if default not in remotes:
        return Outcome("warn", f"no default among {', '.join(remotes)}", "`dvc remote default NAME`")
    return Outcome("ok", f"{default}: {tracking_server.redacted(remotes[default].get('url', ''))}")


def _bucket_checks() -> list[Finding]:
    """Ask the bucket of the default remote, if it is one on S3."""
    try:
        remotes, default = _remotes()
    except ConfigError:
        return []
    bucket = RemoteBucket.of(remotes.get(default, {}))
    checks = dvc_remote.look(bucket) if bucket else ()
    return [Finding(check.name, "fail" if check.todo else "ok", check.what, check.todo) for check in checks]


def _remote_answers(_: Settings) -> Outcome:
    try:
        status = subprocess.run(
            [sys.executable, "-m", "dvc", "status", "--cloud", "--quiet"],
            cwd=_root(), capture_output=True, text=True, timeout=ONLINE_TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Outcome("fail", f"no answer within {ONLINE_TIMEOUT_S} s", "check the network and the remote's address")
    if status.returncode == 1 and not status.stderr.strip():
        return Outcome("warn", "differs from this folder", "`dvc push` or `dvc pull`")
    if status.returncode:
        return Outcome(
            "fail", tracking_server.redacted(status.stderr.strip().splitlines()[-1][:300]), "`dvc status -c -v`"
        )
    return Outcome("ok", "in step with this folder")


def _tracking(settings: Settings) -> Outcome:
    chosen = tracking_server.resolve(settings)
    database = tracking_server.database_of(chosen.uri)
    if database and not database.exists():
        return Outcome("ok", f"local, made at {database} on first use")
    model = settings.model_name or "lockstep-doctor"
    supported = Registry(tracking.connect(settings), model).capabilities()
    return _supports(f"{chosen.kind} at {chosen.shown}", supported)


def _model_files(settings: Settings) -> Outcome:
    """Check that the files of the versions in a role can be downloaded."""
    database = tracking_server.database_of(tracking_server.resolve(settings).uri)
    if database and not database.exists():
        return Outcome("ok", "nothing is registered yet")
    registry = Registry(tracking.connect(settings), model_name(settings))
    if not registry.capabilities().registry:
        return Outcome("ok", "no model registry")
    versions = [version for version in (registry.production(), registry.challenger()) if version]
    for version in versions:
        registry.require_files(version)
    numbers = ", ".join(version.version for version in versions)
    return Outcome("ok", f"all there, of version {numbers}" if numbers else "nothing is in Production yet")


def _supports(where: str, supported: Capabilities) -> Outcome:
    if not supported.registry:
        todo = "runs are logged, but nothing can be registered, promoted or rolled back: use a server with a registry"
        return Outcome("warn", f"{where}: no model registry", todo)
    if not supported.aliases:
        marker = "the stage Production" if supported.stages else "the tag lockstep.production"
        return Outcome("warn", f"{where}: no aliases", f"nothing; Production is kept in {marker}")
    stages = "aliases and stages" if supported.stages else "aliases"
    return Outcome("ok", f"{where}: model registry with {stages}")


def _tokens(settings: Settings) -> Outcome:
    """Say which credentials there are, and never what they are."""
    if settings.dagshub_repo and not settings.dagshub_token and not settings.tracking_uri:
        todo = "set DAGSHUB_USER_TOKEN; until then runs stay on this machine"
        return Outcome("warn", "DAGSHUB_REPO is set, and no token", todo)
    if settings.dagshub_token and not settings.dagshub_repo and not settings.tracking_uri:
        return Outcome("warn", "a DagsHub token is set, and no repository", "set DAGSHUB_REPO=owner/name")
    try:
        chosen = tracking_server.resolve(settings)
    except TrackingError:
        return Outcome("ok", "not looked at: there is no usable tracking server")
    if chosen.kind == "local":
        return Outcome("ok", "none needed for a local store")
    if chosen.kind == "dagshub" and not chosen.password:
        return Outcome("fail", "DagsHub needs a token, and none is set", "set DAGSHUB_USER_TOKEN")
    return Outcome("ok", "set" if chosen.password else "none set, and the server may need none")


def _state(settings: Settings) -> Outcome:
    folder = _root() / settings.state
    standing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=standing):
            return Outcome("ok", str(folder))
    except OSError as error:
        return Outcome("fail", f"{standing}: {error.strerror}", "make it writable, or set LOCKSTEP_STATE")


def _extras(_: Settings) -> Outcome:
    """Say which extras are there; none is needed unless params.yaml or a setting asks for it."""
    there = [extra for extra, packages in EXTRAS.items() if all(map(find_spec, packages))]
    lacking = [extra for extra in EXTRAS if extra not in there]
    what = "; ".join(
        [f"installed: {', '.join(there) or 'none'}"] + ([f"not installed: {', '.join(lacking)}"] if lacking else [])
    )
    return Outcome("ok", what, "`make setup-extras`, where they are wanted" if lacking else "")


def _mirror(settings: Settings) -> Outcome:
    """Say whether runs are mirrored, and what is in the way of it."""
    if not settings.wandb_project or settings.wandb_mode == "disabled":
        return Outcome("ok", "off: WANDB_PROJECT names no project")
    where = f"project {settings.wandb_project}, {settings.wandb_mode}"
    if not find_spec("wandb"):
        return Outcome("warn", f"{where}: wandb is not installed", "`make setup-extras`, or unset WANDB_PROJECT")
    if settings.wandb_mode not in MODES:
        return Outcome("warn", f"WANDB_MODE = {settings.wandb_mode!r}", f"it is one of {', '.join(MODES)}")
    if settings.wandb_mode == "online" and not settings.wandb_key:
        return Outcome("warn", f"{where}: no key is set", "set WANDB_API_KEY, unless `wandb login` has kept one here")
    return Outcome("ok", where)


CHECKS: dict[str, Callable[[Settings], Outcome]] = {
    "python": _python,
    "processor": _processor,
    "numeric libraries": _libraries,
    "project": _project,
    "git": _git,
    "params.yaml": _params,
    "dvc remote": _remote,
    "tracking server": _tracking,
    "model files": _model_files,
    "tokens": _tokens,
    "state folder": _state,
    "extras": _extras,
    "Weights & Biases": _mirror,
}
