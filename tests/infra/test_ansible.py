"""The playbooks, read by ansible-lint and run on this machine."""

import os
import sys

import pytest

from tests import ops

FOLDER = ops.ROOT / "infra/ansible"
MAKEFILE = 'push-data:\n\tdvc push\nretrain:\n\techo "$$REASON" >> rows.txt && dvc add -q rows.txt\n'


def environment(folder):
    path = f"{ops.BIN}{os.pathsep}{ops.ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    return ops.environment("", PATH=path, HOME=str(folder), ANSIBLE_HOME=str(folder), ANSIBLE_NOCOLOR="1")


def test_ansible_lint_finds_nothing(tmp_path):
    files = sorted(FOLDER.glob("*.yml"))
    assert len(files) == 2
    done = ops.run(ops.tool("ansible-lint"), "--offline", "--strict", *files, env=environment(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_ansible_lint_bites(tmp_path):
    (tmp_path / "upload.yml").write_text((FOLDER / "upload.yml").read_text().replace("changed_when", "failed_when"))
    done = ops.run(ops.tool("ansible-lint"), "--offline", "upload.yml", env=environment(tmp_path), cwd=tmp_path)
    assert done.returncode != 0 and "no-changed-when" in done.stdout + done.stderr


@pytest.mark.long("runs both playbooks on a small project of DVC")
def test_playbooks_upload_what_the_remote_lacks(tmp_path):
    project, env = tmp_path / "project", environment(tmp_path)
    project.mkdir()
    (project / "Makefile").write_text(MAKEFILE)
    (project / "rows.txt").write_text("a\n")
    for words in (
        ("init", "-q", "--no-scm"),
        ("remote", "add", "-d", "storage", "../storage"),
        ("add", "-q", "rows.txt"),
    ):
        assert ops.run(ops.ROOT / ".venv/bin/dvc", *words, env=env, cwd=project).returncode == 0

    def play(name):
        command = (ops.tool("ansible-playbook"), "-i", "localhost,", "-c", "local", "-e", f"project={project}")
        command += ("-e", f"ansible_python_interpreter={sys.executable}")
        done = ops.run(*command, FOLDER / name, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "changed=1" in play("upload.yml")
    assert "changed=0" in play("upload.yml")
    assert "changed=2" in play("retrain.yml")
    stored = [path.read_text() for path in (tmp_path / "storage").rglob("*") if path.is_file()]
    assert sorted(stored) == ["a\n", "a\na playbook\n"]
