"""Recipes and scripts use nothing that macOS lacks: make 3.81, bash 3.2, and the BSD versions of sed, grep and others.

They are read only: nothing here has run on macOS.
"""

import re

import pytest

from tests import ops
from tests.scripts.test_shell import SCRIPTS

LINUX_ONLY = {"test_image", "run"}
"""What starts an engine on a Linux host, or is of the machine that runs the checks."""

LACKING = {
    "sed without \\t and \\n in what replaces": r"\bsed\b.*s(.)(?:(?!\1).)*\1(?:(?!\1).)*\\[tn]",
    "sed closes a block after a semicolon": r"\bsed\b.*[A-Za-z]\}\s*['\"]",
    "sed -i with a suffix": r"\bsed\b( -\w+)* -i(\s|$)",
    "sed -E and not -r": r"\bsed\b( -\w+)* -\w*r",
    "grep without Perl's patterns": r"\bgrep\b( -\w+)* -\w*P",
    "readlink -f and realpath": r"\breadlink\b.* -\w*[fem]|\brealpath\b",
    "date without -d, -I and %N": r"\bdate\b.* (-d|-I|--\w+)|\bdate\b.*%N",
    "stat -f and not -c": r"\bstat\b.* (-c|--\w+)",
    "xargs without -r": r"\bxargs\b.* (-\w*r\b|--no-run)",
    "programs of GNU and Linux": r"(^|[;&|(`\s])(timeout|sha\d+sum|md5sum|nproc|tac|setsid|flock|numfmt)\s",
    "head -n -N and sort -V": r"\bhead\b.* -n ?-\d|\bsort\b.* -\w*V",
    "long options of BSD programs": r"(^|[;&|(]\s*)(cp|mv|rm|mkdir|ls|ln|wc|cut|tr|tail|head|du|df|mktemp)\b.* --\w",
    "find without -printf, cp without -t, ln without -r": r"\bfind\b.*-printf|\bcp\b.* -t\b|\bln\b.* -\w*r",
    "bash 4": r"\b(mapfile|readarray|coproc)\b|declare -\w*A|\$\{\w+(,,|\^\^)|\|&|&>>",
}
MAKE_4 = {
    "make 3.82 and later": r"^\.ONESHELL|^\.SHELLFLAGS|\$\((file|let|intcmp) |^\w+ *(!=|::=|:::=)|^undefine |^private ",
}


def lines(text):
    """Return the lines of a script without comments, those that end with a backslash joined."""
    return [line for line in text.replace("\\\n", " ").splitlines() if not line.lstrip().startswith("#")]


def faults(text, rules):
    return {name for line in lines(text) for name, pattern in rules.items() if re.search(pattern, line)}


@pytest.mark.parametrize(
    "script", [path for path in SCRIPTS if path.name not in LINUX_ONLY], ids=lambda path: path.name
)
def test_a_script_uses_what_macos_has(script):
    assert faults(script.read_text(encoding="utf-8"), LACKING) == set()


def test_the_makefile_uses_what_macos_has():
    text = (ops.ROOT / "Makefile").read_text(encoding="utf-8")
    assert faults(text, LACKING | MAKE_4) == set()


def test_recipes_find_the_programs_of_the_environment_with_make_3_81():
    """It looks up a simple command by the PATH that it got itself, unless SHELL is another than its default."""
    text = (ops.ROOT / "Makefile").read_text(encoding="utf-8")
    done = ops.run("make", "--no-print-directory", "-f", "-", "shell", input=text + "\nshell:\n\t@echo $(SHELL)\n")
    assert done.stdout.strip() == "/bin/bash", done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "sed -E 's/:.*## /\\t/'",
        "sed -n '2,/x/{s/^# //p}' file",
        "sed -i s/a/b/ file",
        "sed -nr s/a/b/p",
        "grep -oP x file",
        'cd "$(readlink -f "$0")"',
        "date -d yesterday",
        "stat -c %s file",
        "ls | xargs -r rm",
        "x=$(timeout 5 y)",
        "head -n -1 file",
        "rm --force file",
        "find . -printf %p",
        "mapfile -t x",
    ],
)
def test_a_planted_fault_is_found(line):
    assert faults(line, LACKING)


@pytest.mark.parametrize("line", [".ONESHELL:", "x != date", "y := $(file <x)"])
def test_a_planted_fault_of_make_is_found(line):
    assert faults(line, MAKE_4)
