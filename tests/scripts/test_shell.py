"""Every shell script is one that shellcheck finds nothing in."""

from tests import ops

SCRIPTS = [
    path
    for path in sorted([*(ops.ROOT / "scripts").iterdir(), *(ops.ROOT / ".ci").iterdir()])
    if path.is_file() and (path.suffix == ".sh" or path.read_bytes().startswith((b"#!/bin/sh", b"#!/usr/bin/env bash")))
]


def shellcheck(*paths):
    return ops.run(ops.tool("shellcheck"), "-x", *paths)


def test_shellcheck_finds_nothing():
    assert {path.name for path in SCRIPTS} >= {"deploy", "rollback", "teardown", "cluster.sh", "test", "lock", "run"}
    done = shellcheck(*SCRIPTS)
    assert done.returncode == 0, done.stdout


def test_shellcheck_bites(tmp_path):
    (tmp_path / "wrong").write_text("#!/bin/sh\nrm -r $1/tmp\n")
    assert "SC2086" in shellcheck(tmp_path / "wrong").stdout
