"""What stands in for the actions of GitHub where workflows run on this machine: `ACTIONS` has them by name.

A cache is that of this machine, .lockstep/ci/cache, by key. Without --caches every job begins with none.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.outside import Problem, last_line

if TYPE_CHECKING:
    from scripts.ci_local import Job

RUNS = Path(".lockstep/ci").absolute()
"""Records, artifacts and caches of runs, in the folder where the program was started."""


def checkout(job: "Job", options: Mapping[str, str]) -> None:
    """Clone HEAD, with one commit unless `fetch-depth` is 0, and without the environment of this checkout."""
    depth = [] if options.get("fetch-depth") == "0" else ["--depth", "1"]
    clone = ["git", "clone", "--quiet", *depth, job.repository.remote, str(job.clone)]
    for command in (clone, ["git", "-C", str(job.clone), "checkout", "--quiet", "--detach", job.repository.commit]):
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        if process.returncode:
            raise Problem(last_line(process.stderr), "commit what the job needs; is HEAD on a branch?")
    if job.repository.venv:
        link_environment(job, Path(job.repository.venv).absolute())


def link_environment(job: "Job", venv: Path) -> None:
    """Put a virtual environment into the clone, in which `make setup` finds nothing to do; the code is the clone's."""
    if not (venv / "bin/python").exists():
        raise Problem(f"{venv} is no virtual environment", "make setup-dev, and --venv .venv")
    (job.clone / ".venv").mkdir()
    for path in sorted(venv.iterdir(), key=lambda path: path.name != "run.stamp"):  # make compares their times
        if path.suffix == ".stamp":
            (job.clone / ".venv" / path.name).touch()
        else:
            (job.clone / ".venv" / path.name).symlink_to(path)
    job.environment["PYTHONPATH"] = f"{job.clone / 'src'}{os.pathsep}{job.clone}"


def setup_python(job: "Job", options: Mapping[str, str]) -> None:
    """Put the stated Python in front of PATH, as `python` and `python3`."""
    version = options["python-version"]
    program = shutil.which(f"python{version}")
    if not program:
        raise Problem(f"Python {version} is not installed", "install it, or leave the job out by --skip")
    folder = job.temporary / "python"
    folder.mkdir()
    for name in ("python", "python3"):
        (folder / name).symlink_to(program)
    job.environment["PATH"] = f"{folder}{os.pathsep}{job.repository.environment['PATH']}"
    if options.get("cache") == "pip" and job.repository.caches:
        key = job.hash_files(*options["cache-dependency-path"].split())
        job.environment["PIP_CACHE_DIR"] = str(RUNS / "cache" / f"pip-{version}-{key}")


def cache(job: "Job", options: Mapping[str, str]) -> None:
    """Restore folders of the clone by key, else by the newest key of a prefix; save them if the job passes."""
    if not job.repository.caches:
        print("no caches: without --caches every job begins with none")
        return
    stored, key = RUNS / "cache", re.sub(r"[^\w.-]", "_", options["key"])
    prefixes = [re.sub(r"[^\w.-]", "_", line.strip()) for line in options.get("restore-keys", "").splitlines()]
    similar = [path for prefix in filter(None, prefixes) for path in stored.glob(f"{prefix}*")]
    cached = (
        stored / key if (stored / key).is_dir() else max(similar, key=lambda path: path.stat().st_mtime, default=None)
    )
    print(f"cache {key}: {f'restored from {cached.name}' if cached else 'none yet'}")
    paths = [line.strip() for line in options["path"].splitlines() if line.strip()]
    for path in paths if cached else ():
        if (cached / path).is_dir():
            shutil.copytree(cached / path, job.clone / path, dirs_exist_ok=True)
    if cached != stored / key:
        job.after.append(lambda: _save(job.clone, paths, stored / key))


def _save(clone: Path, paths: list[str], goal: Path) -> None:
    for path in paths:
        if (clone / path).is_dir():
            shutil.copytree(clone / path, goal / path, dirs_exist_ok=True)


def upload_artifact(job: "Job", options: Mapping[str, str]) -> None:
    """Copy a file or folder to the artifacts of the run."""
    source, goal = job.clone / options["path"], RUNS / "artifacts" / options["name"]
    if not source.exists():
        raise Problem(f"{options['path']} does not exist", "an earlier step writes it")
    shutil.rmtree(goal, ignore_errors=True)
    copy = shutil.copytree if source.is_dir() else shutil.copy
    goal.mkdir(parents=True)
    copy(source, goal / source.name)
    print(f"artifact {options['name']}: {goal}")


def download_artifact(job: "Job", options: Mapping[str, str]) -> None:
    """Copy what a job of this run has uploaded into the clone."""
    source = RUNS / "artifacts" / options["name"]
    if not source.is_dir():
        raise Problem(f"no job uploaded an artifact {options['name']}", "run the job that does, too")
    goal = job.clone / options["path"]
    for path in source.iterdir():  # of a folder, the artifact has the files that are in it
        shutil.copytree(path if path.is_dir() else source, goal, dirs_exist_ok=True)


def configure_aws(job: "Job", options: Mapping[str, str]) -> None:
    """Exchange a token for the role's credentials at the STS of AWS_ENDPOINT_URL; needs `id-token: write`."""
    region, role = options.get("aws-region"), options.get("role-to-assume")
    if (job.spec.get("permissions") or {}).get("id-token") != "write":
        raise Problem("the job may not get an OIDC token", "permissions: {id-token: write}")
    if not region:
        raise Problem("the variable AWS_REGION is not set", "gh variable set AWS_REGION --body REGION")
    if not role:
        raise Problem("the variable of the role is not set", "docs/aws.md lists the variables")
    endpoint = job.repository.environment.get("AWS_ENDPOINT_URL")
    if not endpoint:
        raise Problem("no STS stands in for that of AWS", "export AWS_ENDPOINT_URL=http://127.0.0.1:PORT, --pass it")
    import boto3  # only where AWS is played
    from botocore.exceptions import BotoCoreError, ClientError

    sts = boto3.client(
        "sts", endpoint_url=endpoint, region_name=region, aws_access_key_id="none", aws_secret_access_key="none"
    )
    try:
        response = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="ci", WebIdentityToken="local")
    except (BotoCoreError, ClientError) as error:
        raise Problem(f"{role}: {error}", "does the role exist, and trust this repository's runs?") from None
    keys = response["Credentials"]
    job.environment |= {
        "AWS_REGION": region, "AWS_DEFAULT_REGION": region, "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"], "AWS_SESSION_TOKEN": keys["SessionToken"],
    }  # fmt: skip


def setup_terraform(job: "Job", options: Mapping[str, str]) -> None:
    """Say which Terraform is at hand: it is not installed here, and what needs it says that it is missing."""
    program = shutil.which("terraform")
    print(f"terraform {options['terraform_version']} is asked for; at hand: {program or 'none'}")


ACTIONS = {
    "actions/cache": cache,
    "actions/checkout": checkout,
    "actions/download-artifact": download_artifact,
    "actions/setup-python": setup_python,
    "actions/upload-artifact": upload_artifact,
    "aws-actions/configure-aws-credentials": configure_aws,
    "hashicorp/setup-terraform": setup_terraform,
}
"""What stands in for an action, by its name without the version."""
