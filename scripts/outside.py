"""How scripts speak to tools and accounts: every command is shown, a dry run changes nothing, a fault has a hint."""

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
    "git": "https://git-scm.com",
    "lockstep": "make setup",
    "terraform": "https://developer.hashicorp.com/terraform/install",
}


class Problem(Exception):
    """What went wrong, in one line, and what to do about it."""

    def __init__(self, cause: str, hint: str) -> None:
        super().__init__(cause)
        self.hint = hint


def need(*tools: str) -> None:
    """Refuse to begin without a tool."""
    for tool in tools:
        if not shutil.which(tool):
            raise Problem(f"{tool} is not installed", INSTALL[tool])


def setting(given: str | None, variable: str, example: str) -> str:
    """Return what was given, or what the environment says, or name what is missing."""
    found = given or os.environ.get(variable, "")
    if not found:
        raise Problem(f"{variable} is not set", f"export {variable}={example}")
    return found


def ask(*command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command that changes nothing, and return what it printed, whether it went well or not."""
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False)


class Doing:
    """Runs commands that change something, or only shows them."""

    def __init__(self, dry_run: bool) -> None:
        self.dry_run = dry_run

    def __call__(self, *command: str, hint: str, given: str | None = None) -> None:
        """Run one command, whose output goes to standard error."""
        print("+", shlex.join(command), file=sys.stderr, flush=True)
        if self.dry_run:
            return
        done = subprocess.run(command, input=given, text=True, stdout=sys.stderr, check=False)
        if done.returncode:
            raise Problem(f"{shlex.join(command[:3])} ended with code {done.returncode}", hint)


def last_line(text: str) -> str:
    """Return the last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason was given")


def who() -> str:
    """Return who AWS takes us for."""
    need("aws")
    asked = ask("aws", "sts", "get-caller-identity", "--query", "Arn", "--output", "text")
    if asked.returncode:
        raise Problem(
            f"AWS does not know who you are: {last_line(asked.stderr)}",
            "aws sso login, or set AWS_PROFILE",
        )
    return asked.stdout.strip()


def entry(main: Callable[[], None]) -> None:
    """Run a script, and turn a fault into two lines and the exit code 1."""
    try:
        main()
    except Problem as problem:
        sys.exit(f"error: {problem}\n  hint: {problem.hint}")
