"""FAULTS (d) S25, S26, S29, S30: what is in git, what is pinned, and what judges the code."""

import json
import re
import sys

import pytest

from tests import ops
from tests.root import is_user_file

PYTHON = (
    "src",
    "flask_app",
    "scripts",
    "scripts/attach",
    "scripts/backup",
    "scripts/push",
    "scripts/infra",
    "scripts/propose",
)
LOCKS = sorted(ops.ROOT.glob("requirements*.lock"))

FORMATS = """
import json, sys
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class as known
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings
guesses = {"Base64HighEntropyString", "HexHighEntropyString", "KeywordDetector", "IPPublicDetector"}
names = [{"name": one.__name__} for one in known().values() if one.__name__ not in guesses]
with transient_settings({"plugins_used": names}):
    print(json.dumps([(one.type, one.secret_value) for one in scan_file(sys.argv[1])]))
"""
"""Asks for secrets that are known by their form; what only looks random is not asked for, as digests do too."""

LONG_WORD = re.compile(r"[A-Za-z0-9]{12}|[\w-]{24}|://|PRIVATE KEY")
"""Without one of these, a line holds none of them, and the detectors need not look."""

PLACEHOLDERS = {"PASSWORD", "hunter2"}
PLANTED_SECRETS = ["key = 'AKIA" + "ABCDEFGHIJKLMNOP'", "token = 'ghp_" + "a1B2" * 9 + "'"]


def secrets_in(lines, folder):
    """Return the kinds of the secrets that stand in lines."""
    (folder / "lines.txt").write_text("\n".join(line for line in lines if LONG_WORD.search(line)))
    done = ops.run(ops.tool("python"), "-c", FORMATS, folder / "lines.txt")
    assert done.returncode == 0, done.stderr
    return {kind for kind, secret in json.loads(done.stdout) if secret not in PLACEHOLDERS}


def test_s25_no_secret_stands_in_a_tracked_file(tmp_path):
    listed = ops.run("git", "ls-files", "-z", "--", ".", ":!*.lock", ":!*.png", ":!docs/*.json").stdout.split("\0")
    texts = [
        (ops.ROOT / name).read_text(encoding="utf-8", errors="replace")
        for name in listed
        if name and not is_user_file(name)
    ]
    assert len(texts) > 300
    lines = [line for text in texts for line in text.splitlines()]
    assert secrets_in(lines, tmp_path) == set()
    assert secrets_in(PLANTED_SECRETS, tmp_path) == {"AWS Access Key", "GitHub Token"}


def test_s25_no_secret_ever_stood_in_git(tmp_path, request):
    if not request.config.getoption("long"):
        pytest.skip("--long reads all of the history: `make check-ops ARGS=--long`")
    log = ops.run("git", "log", "-p", "--unified=0", "--no-color").stdout
    added = [line[1:] for line in log.splitlines() if line.startswith("+") and "--hash=" not in line]
    assert secrets_in(added, tmp_path) == set()


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        (".env", True),
        (".dvc/config.local", True),
        (".dvc/cache/files/md5/00/00", True),
        (".lockstep/mlflow.db", True),
        (".venv/bin/python", True),
        ("infra/terraform/terraform.tfstate", True),
        ("infra/terraform/own.tfvars", True),
        ("infra/terraform/.terraform/providers/x", True),
        ("models/model.skops", True),
        ("data/external/my.csv", True),
        ("data/external/feedback/m.parquet", True),
        ("build/sbom.json", True),
        ("data/external/my.csv.dvc", False),
        ("reports/metrics.json", False),
        ("infra/terraform/buckets.tf", False),
    ],
)
def test_s26_git_leaves_out_what_is_secret_or_made(name, ignored):
    assert (ops.run("git", "check-ignore", "--no-index", name).returncode == 0) is ignored


def test_dvc_sees_what_people_add_to_data_external():
    code = (
        "import sys; from dvc.repo import Repo; scm = Repo(sys.argv[1]).scm; "
        "sys.exit(any(scm.is_ignored(f'{sys.argv[1]}/data/external{name}') for name in ('/', '/my.csv.dvc')))"
    )
    assert ops.run(sys.executable, "-c", code, ops.ROOT).returncode == 0


def unpinned(text):
    """Return the requirements of a lock file that are not held to one version and its digests, and hosts it names."""
    entries = re.split(r"\n(?=\S)", text.replace("\\\n", " "))
    entries = [entry for entry in entries if entry and not entry.startswith("#")]
    loose = [one for one in entries if not re.match(r"[\w.\[\],-]+==\S+ (;.*?)?\s*--hash=sha256:[0-9a-f]{64}", one)]
    return loose + re.findall(r"https?://\S+|--(?:extra-)?index-url.*|--find-links.*|--trusted-host.*", text)


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_s29_locks_hold_versions_and_digests_and_no_address(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("==") > 0
    assert unpinned(text) == []


@pytest.mark.parametrize("planted", ["flask>=3\n", "flask==3.1.2\n", "own @ https://example.com/own.whl\n"])
def test_s29_a_planted_loose_requirement_is_found(planted):
    assert unpinned(LOCKS[0].read_text(encoding="utf-8") + planted)


def test_s29_npm_is_pinned_as_well():
    lock = json.loads((ops.ROOT / "tests/github/npm/package-lock.json").read_text(encoding="utf-8"))
    packages = [one for name, one in lock["packages"].items() if name]
    assert packages
    assert [one for one in packages if "integrity" not in one or "resolved" in one] == []


def test_s29_no_known_vulnerability():
    pytest.skip("known vulnerabilities are looked up over a network: `make scan` (tests/github/test_attach.py)")


def has_reason(fault):
    """Tell whether the lines that bandit names say why they are none, as ruff wants it: `noqa: S608 - because`."""
    lines = (ops.ROOT / fault["filename"]).read_text(encoding="utf-8").splitlines()
    text = "\n".join(lines[number - 1] for number in fault["line_range"])
    return re.search(rf"noqa: [\w, ]*S{fault['test_id'][1:]}[\w, ]* - \w+", text) is not None


def test_s30_bandit_finds_nothing_without_a_written_reason(tmp_path):
    (tmp_path / "planted.py").write_text("import subprocess\nsubprocess.call('ls ' + input(), shell=True)\n")
    done = ops.run(ops.tool("bandit"), "-q", "-r", *PYTHON, tmp_path, "-ll", "-f", "json")
    faults = json.loads(done.stdout)["results"]
    found = {(one["filename"].removeprefix("./"), one["test_id"]) for one in faults if not has_reason(one)}
    assert found == {(str(tmp_path / "planted.py"), "B602")}
    assert len(faults) > 3


PLANTED = """import joblib, os, pickle, requests, ssl, subprocess, tempfile, urllib.request, yaml
pickle.load(open("m"))
joblib.load("m")
yaml.load(text, yaml.FullLoader)
subprocess.run("ls", shell=True)
os.system("ls")
requests.get("https://example.com")
urllib.request.urlopen("https://example.com")
eval(text)
tempfile.mktemp()
requests.get("https://example.com", timeout=1, verify=False)
"""
RULES = [
    *("no-pickle", "no-pickle", "no-free-yaml", "no-shell", "no-shell", "no-endless-wait", "no-endless-wait"),
    *("no-eval", "no-early-tempfile", "no-unchecked-certificate"),
]


def test_s30_our_own_rules_find_nothing_but_what_is_planted(tmp_path):
    (tmp_path / "planted.py").write_text(PLANTED)
    command = ("scan", "--config", ".semgrep", "--metrics", "off", "--disable-version-check", "--json", "--quiet")
    env = ops.environment("", SEMGREP_ENABLE_VERSION_CHECK="0", HOME=str(tmp_path))
    done = ops.run(ops.tool("semgrep"), *command, *PYTHON, tmp_path / "planted.py", env=env)
    content = json.loads(done.stdout)
    found = [(one["path"], one["start"]["line"], one["check_id"].rpartition(".")[2]) for one in content["results"]]
    assert len(content["paths"]["scanned"]) > 150
    assert sorted(found) == [(str(tmp_path / "planted.py"), line, rule) for line, rule in enumerate(RULES, 2)]
