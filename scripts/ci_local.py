"""Run the jobs of a workflow on this machine as a runner would: each in a fresh clone, with what is declared alone.

    python -m scripts.ci_local [OPTION]... [WORKFLOW]...

Jobs, conditions, variables and commands are read from the YAML of .github/workflows. A job gets a clone of HEAD, an
empty home without caches, the `vars` and `secrets` that are named below, and nothing else of the environment. Actions
are replaced by what they do: scripts/workflow_actions.py. `timeout-minutes` counts; secrets are masked in the output.

    --var NAME=VALUE   a variable of the repository
    --secret NAME      a secret of the repository, with the value of the environment variable NAME
    --event NAME       push, pull_request, schedule or workflow_dispatch (default: push)
    --input NAME=VALUE an input of workflow_dispatch
    --job NAME         only this job (repeatable); the others count as done where the last run says so
    --skip JOB         leave a job out as if it had passed (repeatable); said in the summary
    --rerun-failed     run the jobs that failed or were skipped in the last run of the same commit
    --remote URL       clone from there, such as a bare repository that has HEAD (default: this folder)
    --caches           keep the caches of pip and DVC from job to job, by the keys that the workflow gives
    --venv FOLDER      begin each job with this virtual environment, in place of an installation; said in the summary
    --pass NAME        let a variable of this environment through, such as AWS_ENDPOINT_URL (repeatable)

Example: python -m scripts.ci_local --skip long ci
         python -m scripts.ci_local --var AWS_REGION=eu-west-1 --pass AWS_ENDPOINT_URL ci deploy
"""

import argparse
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from scripts.outside import Problem, entry, last_line
from scripts.workflow_actions import ACTIONS, RUNS
from scripts.workflow_expressions import ExpressionError, as_text, evaluate, substitute, uses_status

ROOT = Path.cwd()
WORKFLOWS = Path(".github/workflows")
PASSED = ("PATH", "TZ", "LANG", "LC_ALL", "TERM")
"""What a job gets of the environment of whoever starts it."""
SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
OUTCOMES = {"success": "passed", "failure": "FAILED", "skipped": "skipped", "left out": "left out"}


@dataclass
class Repository:
    """What a repository declares: its variables, secrets, the event, and what of this environment comes through."""

    variables: Mapping[str, str]
    secrets: Mapping[str, str]
    event: str
    inputs: Mapping[str, str]
    environment: Mapping[str, str]
    commit: str
    base: str
    remote: str
    caches: bool
    venv: str

    def contexts(self) -> dict[str, Any]:
        """Return the contexts of expressions that are the same in all jobs."""
        is_pull_request = self.event == "pull_request"
        pull_request = {"number": 1, "head": {"repo": {"full_name": "local/project"}}}
        github = {
            "event_name": self.event, "sha": self.commit, "ref": "refs/heads/main", "repository": "local/project",
            "base_ref": self.base if is_pull_request else "", "token": self.secrets.get("GITHUB_TOKEN", ""),
            "event": {"pull_request": pull_request} if is_pull_request else {},
        }  # fmt: skip
        return {"github": github, "vars": self.variables, "secrets": self.secrets, "inputs": self.inputs}


@dataclass
class JobResult:
    """How a job ended: its outcome, its outputs, and in which step it failed."""

    outcome: str
    outputs: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    took_s: float = 0.0


class Job:
    """One job, or one combination of its matrix, in a clone of its own."""

    def __init__(self, name: str, spec: Mapping[str, Any], folder: Path, repository: Repository) -> None:
        self.name, self.spec, self.folder, self.repository = name, spec, folder, repository
        self.clone, self.home, self.temporary = folder / "work", folder / "home", folder / "temp"
        for path in (self.clone, self.home, self.temporary):
            path.mkdir(parents=True)
        self.environment: dict[str, str] = {}
        self.steps: dict[str, dict[str, Any]] = {}
        self.summary = self.temporary / "summary"
        self.after: list[Callable[[], None]] = []
        minutes = float(spec.get("timeout-minutes", 360))
        self.end = time.monotonic() + 60 * minutes

    def run(self, contexts: Mapping[str, Any]) -> JobResult:
        """Run the steps in turn; after one has failed, only those whose condition says so."""
        failed, started = "", time.monotonic()
        for number, step in enumerate(self.spec["steps"], 1):
            label = step.get("name") or step.get("run", step.get("uses", "")).strip().splitlines()[0]
            scope = {**contexts, "steps": self.steps, "success": not failed, "failure": bool(failed), "always": True,
                     "cancelled": False, "env": self.environment}  # fmt: skip
            scope["hashFiles"] = self.hash_files
            condition = step.get("if", "success()")
            if not evaluate(str(condition), scope) or (failed and not uses_status(str(condition))):
                continue
            print(f"--- {self.name} | {number}. {label}", flush=True)
            problem = self._step(step, scope)
            if problem and not failed:
                failed = f"step {number}, {label}: {problem}"
        for save in () if failed else self.after:
            save()
        outputs = {
            name: substitute(str(text), {**contexts, "steps": self.steps})
            for name, text in self.spec.get("outputs", {}).items()
        }
        return JobResult("failure" if failed else "success", outputs, failed, time.monotonic() - started)

    def hash_files(self, *patterns: str) -> str:
        """Return one digest of the files of the clone that match any of the patterns, empty if none does."""
        paths = sorted({path for pattern in patterns for path in self.clone.glob(pattern) if path.is_file()})
        digests = b"".join(hashlib.sha256(path.read_bytes()).digest() for path in paths)
        return hashlib.sha256(digests).hexdigest() if paths else ""

    def _step(self, step: Mapping[str, Any], scope: Mapping[str, Any]) -> str:
        """Run one step and return what went wrong, if anything did."""
        declared = {**self.spec.get("env", {}), **step.get("env", {})}
        env = {name: substitute(as_text(value), scope) for name, value in declared.items()}
        if "uses" in step:
            action = step["uses"].partition("@")[0]
            if action not in ACTIONS:
                return f"the action {action} has no counterpart here: add one to ACTIONS"
            options = {key: substitute(as_text(value), scope) for key, value in step.get("with", {}).items()}
            try:
                ACTIONS[action](self, options)
            except Problem as problem:
                return f"{problem} ({problem.hint})"
            return ""
        return self._command(step, substitute(step["run"], scope), env)

    def _command(self, step: Mapping[str, Any], command: str, env: Mapping[str, str]) -> str:
        files = {name: self.temporary / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH")}
        for path in files.values():
            path.write_text("")
        everything = {
            **self.repository.environment, "CI": "true", "GITHUB_ACTIONS": "true", "HOME": str(self.home),
            "GITHUB_WORKSPACE": str(self.clone), "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_REPOSITORY": "local/project", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_RUN_ID": "1",
            "RUNNER_TEMP": str(self.temporary), "GITHUB_SHA": self.repository.commit,
            **{name: str(path) for name, path in files.items()},
            **self.environment, **env,
        }  # fmt: skip
        script = self.temporary / "script"
        script.write_text(command)
        folder = self.clone / step.get("working-directory", ".")
        code = self._watched([*SHELL, str(script)], everything, folder)
        self.steps.setdefault(step.get("id", ""), {})["outputs"] = dict(_pairs(files["GITHUB_OUTPUT"].read_text()))
        self.environment |= dict(_pairs(files["GITHUB_ENV"].read_text()))
        return (
            "" if code == 0 else f"ended with code {code}" if code is not None else "took longer than timeout-minutes"
        )

    def _watched(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> int | None:
        """Run a command with its output masked; None if the job's time is over, which ends all of its processes."""
        with subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", start_new_session=True, stdin=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            timer = signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
            signal.setitimer(signal.ITIMER_REAL, max(0.1, self.end - time.monotonic()))
            try:
                for line in process.stdout or ():
                    print(self._masked(line), end="", flush=True)
                code = process.wait()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, timer)
        return None if code == -signal.SIGKILL and time.monotonic() >= self.end else code

    def _masked(self, line: str) -> str:
        for secret in filter(None, self.repository.secrets.values()):
            line = line.replace(secret, "***")
        return line


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield names and values of a file of outputs: NAME=VALUE, or NAME<<MARK with lines up to the mark."""
    lines = iter(text.splitlines())
    for line in lines:
        if match := re.fullmatch(r"([\w-]+)<<(\S+)", line):
            value = []
            for following in lines:
                if following == match[2]:
                    break
                value.append(following)
            yield match[1], "\n".join(value)
        elif "=" in line:
            name, _, text_ = line.partition("=")
            yield name, text_


class WorkflowRun:
    """The jobs of one workflow in the order of `needs`, with the results of an earlier run where they still count."""

    def __init__(
        self, repository: Repository, skipped: Sequence[str], only: Sequence[str], results: dict[str, JobResult]
    ) -> None:
        self.repository, self.skipped, self.only, self.results = repository, skipped, only, results

    def run(self, name: str, prefix: str = "") -> str:
        """Run a workflow, and return its outcome."""
        try:
            workflow = yaml.safe_load((ROOT / WORKFLOWS / f"{name}.yml").read_text())
        except (FileNotFoundError, yaml.YAMLError) as error:
            raise Problem(f"{WORKFLOWS}/{name}.yml: {last_line(str(error))}", "name a workflow without .yml") from error
        jobs, done = dict(workflow["jobs"]), dict[str, JobResult]()
        while jobs:
            ready = [job for job, spec in jobs.items() if not set(_needs(spec)) & jobs.keys()]
            if not ready:
                raise Problem(f"{name}: the jobs {', '.join(jobs)} need each other", "mend `needs`")
            for job in ready:
                done[job] = self._job(job, jobs.pop(job), f"{prefix}{name} / {job}", done)
        return "failure" if any(result.outcome == "failure" for result in done.values()) else "success"

    def _job(self, name: str, spec: Mapping[str, Any], label: str, done: Mapping[str, JobResult]) -> JobResult:
        needs = {need: done[need] for need in _needs(spec)}
        state = "success" if all(result.outcome in ("success", "left out") for result in needs.values()) else ""
        contexts = self.repository.contexts() | {
            "needs": {need: {"outputs": result.outputs, "result": result.outcome} for need, result in needs.items()},
            "success": bool(state), "failure": not state, "always": True, "cancelled": False,
        }  # fmt: skip
        earlier = self.results.get(label)
        if earlier and earlier.outcome == "success":
            return earlier
        condition = str(spec.get("if", "success()"))
        if name in self.skipped or (self.only and name not in self.only and "uses" not in spec):
            result = JobResult("left out")
        elif not evaluate(condition, contexts) or (not state and not uses_status(condition)):
            result = JobResult(
                "skipped", reason="a job that it needs did not pass" if not state else f"if: {condition}"
            )
        elif "uses" in spec:
            result = JobResult(self.run(Path(spec["uses"]).stem, f"{label} / "))
        else:
            result = self._combinations(label, spec, contexts)
        self.results[label] = result
        return result

    def _combinations(self, label: str, spec: Mapping[str, Any], contexts: Mapping[str, Any]) -> JobResult:
        result, took_s = JobResult("success"), 0.0
        for matrix in _matrix(spec):
            name = f"{label} ({', '.join(map(str, matrix.values()))})" if matrix else label
            with tempfile.TemporaryDirectory(prefix="lockstep-ci-") as folder:
                job = Job(name, spec, Path(folder), self.repository)
                ended = job.run({**contexts, "matrix": matrix})
                if job.summary.exists():
                    print(f"--- {name} | summary", job.summary.read_text(), sep="\n", flush=True)
            took_s += ended.took_s
            if result.outcome == "success":
                result = ended
        result.took_s = took_s
        return result


def _needs(spec: Mapping[str, Any]) -> list[str]:
    needs = spec.get("needs", [])
    return [needs] if isinstance(needs, str) else list(needs)


def _matrix(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    axes = (spec.get("strategy") or {}).get("matrix", {})
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def _named(words: Sequence[str]) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _repository(arguments: argparse.Namespace) -> Repository:
    missing = [name for name in (*arguments.secret, *arguments.through) if name not in os.environ]
    if missing:
        raise Problem(f"{missing[0]} is not set in the environment", f"export {missing[0]}=...")
    if _git("status", "--porcelain", "--untracked-files=no"):
        print("uncommitted changes do not count: a runner sees commits alone", file=sys.stderr)
    through = (*(name for name in PASSED if name in os.environ), *arguments.through)
    return Repository(
        _named(arguments.var), {name: os.environ[name] for name in arguments.secret}, arguments.event,
        _named(arguments.input), {name: os.environ[name] for name in through}, _git("rev-parse", "HEAD"),
        arguments.base, arguments.remote or f"file://{ROOT}", arguments.caches, arguments.venv,
    )  # fmt: skip


def main() -> None:
    """Run workflows, print a line a job, and exit with 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--var", "--secret", "--input", "--job", "--skip"):
        parser.add_argument(option, action="append", default=[], help=argparse.SUPPRESS)
    parser.add_argument("--pass", action="append", default=[], dest="through", help=argparse.SUPPRESS)
    parser.add_argument("--event", default="push", help=argparse.SUPPRESS)
    parser.add_argument("--base", default="main", help=argparse.SUPPRESS)
    parser.add_argument("--remote", help=argparse.SUPPRESS)
    parser.add_argument("--venv", default="", help=argparse.SUPPRESS)
    parser.add_argument("--caches", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rerun-failed", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("workflow", nargs="*", help="names of workflows (default: ci)")
    arguments = parser.parse_args()
    repository = _repository(arguments)
    record = RUNS / f"{repository.commit}.json"
    results = {}
    if arguments.rerun_failed and record.exists():
        results = {label: JobResult(**values) for label, values in json.loads(record.read_text()).items()}
    run = WorkflowRun(repository, arguments.skip, arguments.job, results)
    try:
        outcomes = [run.run(name) for name in arguments.workflow or ["ci"]]
    except ExpressionError as error:
        raise Problem(str(error), "scripts/workflow_expressions.py has the supported part") from error
    finally:
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({label: vars(result) for label, result in run.results.items()}, indent=1))
    print("\njobs:")
    if repository.venv:
        print(f"  not installed anew, but with the environment {repository.venv}")
    for label, result in run.results.items():
        print(f"  {OUTCOMES[result.outcome]:8}  {label}  {result.took_s:.0f} s  {result.reason}".rstrip())
    if "failure" in outcomes:
        sys.exit(1)


if __name__ == "__main__":
    entry(main)
