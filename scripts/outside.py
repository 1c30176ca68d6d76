"""Run external tools from scripts: commands are printed, a dry run changes nothing, an error has a hint."""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable

INSTALL = {
    "aws": "pip install awscli, or https://docs.aws.amazon.com/cli",
    "docker": "https://docs.docker.com/engine/install",
    "dvc": "make setup",
    "gh": "https://cli.github.com",
    "eksctl": "https://docs.aws.amazon.com/eks/latest/eksctl/installation.html",
    "helm": "https://helm.sh/docs/intro/install",
    "kubectl": "https://kubernetes.io/docs/tasks/tools",
    "git": "https://git-scm.com",
    "lockstep": "make setup",
    "terraform": "https://developer.hashicorp.com/terraform/install",
}


class Problem(Exception):
    """An error with its cause in one line and a hint for the user."""

    def __init__(self, cause: str, hint: str) -> None:
        super().__init__(cause)
        self.hint = hint


def need(*tools: str) -> None:
    """Raise if a tool is not installed."""
    for tool in tools:
        if not shutil.which(tool):
            raise Problem(f"{tool} is not installed", INSTALL[tool])


def setting(option: str | None, variable: str, example: str) -> str:
    """Return the option, or the environment variable; raise if neither is set."""
    value = option or os.environ.get(variable, "")
    if not value:
        raise Problem(f"{variable} is not set", f"export {variable}={example}")
    return value


def query(*command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command that changes nothing, and return the process with its output, also on failure."""
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


class CommandRunner:
    """Runs commands that change something, or only shows them."""

    def __init__(self, dry_run: bool) -> None:
        self.dry_run = dry_run

    def __call__(self, *command: str, hint: str, stdin: str | None = None) -> None:
        """Run one command, whose output goes to standard error."""
        print("+", shlex.join(command), file=sys.stderr, flush=True)
        if self.dry_run:
            return
        code, reason = shown(command, stdin)
        if code:
            raise Problem(f"{shlex.join(command[:3])} ended with code {code}: {reason}", hint)


def shown(command: tuple[str, ...], stdin: str | None = None) -> tuple[int, str]:
    """Run a command whose output goes to standard error as it comes; return its code and its last line."""
    last, pipe = "", subprocess.PIPE if stdin is not None else None
    with subprocess.Popen(
        command, stdin=pipe, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        if process.stdin and stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it ended without a look: its code says so
                process.stdin.write(stdin)
                process.stdin.close()
        for line in process.stdout or ():
            print(line, end="", file=sys.stderr, flush=True)
            last = line.strip() or last
    return process.returncode, last or "no reason was given"


def last_line(text: str) -> str:
    """Return the last non-empty line."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason was given")


def caller_identity() -> str:
    """Return the ARN of the AWS identity in use."""
    need("aws")
    process = query("aws", "sts", "get-caller-identity", "--query", "Arn", "--output", "text")
    if process.returncode:
        raise Problem(
            f"AWS does not know who you are: {last_line(process.stderr)}",
            "aws sso login, or set AWS_PROFILE",
        )
    return process.stdout.strip()


def entry(main: Callable[[], None]) -> None:
    """Run a script; print a problem as two lines and exit with code 1."""
    try:
        main()
    except Problem as problem:
        sys.exit(f"error: {problem}\n  hint: {problem.hint}")
