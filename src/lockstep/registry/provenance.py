"""Provenance of a model: git commit, pipeline, parameters and data, as digests."""

import logging
import os
import subprocess
from collections.abc import Mapping
from typing import Any

import yaml

from lockstep import files, paths
from lockstep.config.params_file import CONFLICT
from lockstep.config.settings import Settings
from lockstep.errors import ConfigError

log = logging.getLogger("provenance")

# What git says where it names no commit, what that means, and what to do.
GIT_PROBLEMS = {
    "dubious ownership": (
        "the project folder belongs to another user, so git does not read it",
        'git config --global --add safe.directory "$PWD"',
    ),
    "not a git repository": (
        "the project folder is no git repository, as after unpacking a zip file, and DVC runs in none",
        "git init && git add -A && git commit -m 'Start'",
    ),
    "HEAD": ("the git repository has no commit yet", "git add -A && git commit -m 'Start'"),
}
EXPERIMENT = ("dvc_exp_name", "dvc_exp_baseline")


def describe() -> dict[str, str]:
    """Return the tags that lead from a version back to what made it.

    `dvc_lock` is the digest of what dvc.lock says of the stages up to the evaluation: while `register_model` runs, its
    own entry is not written yet.
    """
    commit = git("rev-parse", "--verify", "HEAD")
    if not commit and (problem := git_problem()):
        log.warning("git_commit is unknown: %s; %s", *problem)
    source = files.read_json(paths.SOURCE)
    return {
        "git_commit": commit or "unknown",
        "git_dirty": str(bool(git("status", "--porcelain", "--untracked-files=no"))).lower() if commit else "unknown",
        "dvc_lock": lock_digest(),
        "params_sha256": files.sha256(paths.PARAMS),
        "data_sha256": _data_digest(source),
        **({"feedback_rows": str(source["feedback_rows"])} if source.get("feedback") else {}),
    }


def experiment(settings: Settings) -> dict[str, str]:
    """Return the tags that lead from a run back to the experiment of DVC that made it; none outside of one."""
    return dict(zip(EXPERIMENT, (settings.exp_name, settings.exp_baseline), strict=True)) if settings.exp_name else {}


def _data_digest(source: Mapping[str, Any]) -> str:
    """Return the digest of the source, or of it and the feedback that joined it."""
    feedback = [record["sha256"] for _, record in sorted(source.get("feedback", {}).items())]
    return files.sha256_bytes("\n".join([source["sha256"], *feedback]).encode()) if feedback else source["sha256"]


def lock_digest() -> str:
    """Return the sha256 of the stages of dvc.lock that come before the registration."""
    return digest_of_lock(paths.LOCK.read_text(encoding="utf-8")) if paths.LOCK.exists() else "none"


def digest_of_lock(text: str) -> str:
    """Return that digest of the text of a dvc.lock. Raises ConfigError: it has the conflict markers of a merge."""
    if CONFLICT.search(text):
        raise ConfigError(
            f"{paths.LOCK} has the conflict markers of a merge",
            "take one side, as with `git checkout --theirs dvc.lock`, then run `dvc repro`",
        )
    stages = yaml.safe_load(text).get("stages", {})
    before = {name: stage for name, stage in stages.items() if name != "register_model"}
    return files.sha256_bytes(yaml.safe_dump(before, sort_keys=True).encode())


def git(*arguments: str) -> str:
    """Return the output of git; an empty text where there is no git or no repository."""
    try:
        return _run_git(*arguments).stdout.strip()
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""


def git_problem() -> tuple[str, str] | None:
    """Say why git names no commit of the current folder, and what to do; None if it names one."""
    try:
        _run_git("rev-parse", "--verify", "HEAD")
    except FileNotFoundError:
        return "git is not installed", "install git"
    except subprocess.CalledProcessError as error:
        return next((advice for words, advice in GIT_PROBLEMS.items() if words in error.stderr), GIT_PROBLEMS["HEAD"])
    return None


def _run_git(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "LC_ALL": "C"}  # its messages are compared
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, env=environment)
