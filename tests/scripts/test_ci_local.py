"""Workflows run as on a runner: fresh clones, declared variables alone, needs, conditions, outputs, a rerun."""

import os
import subprocess
import sys
import textwrap

import pytest

from tests import ops

HEAD = "on: {push: {}}\njobs:\n"


class Project:
    """A repository with workflows of its own."""

    def __init__(self, folder):
        self.folder = folder
        (folder / ".github/workflows").mkdir(parents=True)
        (folder / ".gitignore").write_text(".lockstep\n")
        self.git("init", "--quiet", "--initial-branch", "main")

    def git(self, *words):
        identity = ("-c", "user.name=Jo", "-c", "user.email=jo@example.com")
        subprocess.run(["git", *identity, *words], cwd=self.folder, check=True, capture_output=True)

    def workflow(self, name, jobs):
        (self.folder / f".github/workflows/{name}.yml").write_text(HEAD + textwrap.indent(textwrap.dedent(jobs), "  "))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", name)

    def run(self, *words, **variables):
        command = [sys.executable, "-m", "scripts.ci_local", *words]
        env = os.environ | {"PYTHONPATH": str(ops.ROOT)} | variables
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=300)


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


CHECKOUT = "{uses: actions/checkout@0000}"


def test_a_job_is_a_fresh_clone_with_what_is_declared_alone(project):
    project.workflow("ci", f"""
        one:
          env: {{REGION: "${{{{ vars.REGION }}}}"}}
          steps:
            - {CHECKOUT}
            - env: {{TOKEN: "${{{{ secrets.TOKEN }}}}"}}
              run: echo "token=$TOKEN region=$REGION other=${{UNDECLARED:-none}}"
            - run: |
                test -z "${{TOKEN:-}}" && test ! -e untracked && ls -A "$HOME" | wc -l
    """)  # fmt: skip
    (project.folder / "untracked").touch()
    done = project.run("--var", "REGION=eu-west-1", "--secret", "TOKEN", TOKEN="hunter2", UNDECLARED="leaks")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "token=*** region=eu-west-1 other=none\n" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
    assert "passed    ci / one" in done.stdout
    (project.folder / "untracked").unlink()


def test_outputs_conditions_and_needs(project):
    project.workflow("ci", """
        last:
          needs: [first, second]
          steps: [{run: echo never}]
        cleanup:
          needs: second
          if: always()
          steps: [{run: echo cleaned}]
        second:
          needs: first
          if: needs.first.outputs.wanted == 'yes'
          steps:
            - run: printf 'text<<END\\ntwo\\nlines\\nEND\\n' >> "$GITHUB_OUTPUT"
              id: text
            - run: printf '%s\\n' "$TEXT" && exit 3
              env: {TEXT: "${{ steps.text.outputs.text }}"}
            - run: echo after
            - {run: echo told, if: failure()}
        first:
          outputs: {wanted: "${{ steps.wish.outputs.wanted }}"}
          steps: [{run: 'echo wanted=yes >> "$GITHUB_OUTPUT"', id: wish}]
        other:
          needs: first
          if: needs.first.outputs.wanted == 'no'
          steps: [{run: echo never}]
    """)  # fmt: skip
    done = project.run()
    assert done.returncode == 1
    assert "two\nlines\n" in done.stdout and "told\n" in done.stdout and "cleaned\n" in done.stdout
    assert "after\n" not in done.stdout and "\nnever\n" not in done.stdout
    assert "FAILED    ci / second" in done.stdout and "step 2," in done.stdout and "ended with code 3" in done.stdout
    assert "skipped   ci / last" in done.stdout and "skipped   ci / other" in done.stdout


def test_a_failed_job_is_run_again_and_the_others_are_not(project, tmp_path):
    flag, count = tmp_path / ".lockstep" / "flag", tmp_path / ".lockstep" / "count"
    flag.parent.mkdir()
    project.workflow("ci", f"""
        good:
          steps: [{{run: echo run >> {count}}}]
        bad:
          steps: [{{run: test -e {flag}}}]
        after:
          needs: bad
          steps: [{{run: echo deployed}}]
    """)  # fmt: skip
    assert project.run().returncode == 1
    flag.touch()
    again = project.run("--rerun-failed")
    assert again.returncode == 0, again.stdout + again.stderr
    assert count.read_text() == "run\n"
    assert "deployed\n" in again.stdout


def test_a_workflow_calls_another_and_a_matrix_runs_each_combination(project):
    project.workflow("ci", """
        test:
          strategy: {matrix: {python: ["3.11", "3.12"]}}
          steps: [{run: "echo on ${{ matrix.python }}"}]
    """)  # fmt: skip
    project.workflow("deploy", """
        tests: {uses: ./.github/workflows/ci.yml}
        production:
          needs: tests
          steps: [{run: "echo to ${{ github.sha }}"}]
    """)  # fmt: skip
    done = project.run("deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "on 3.11\n" in done.stdout and "on 3.12\n" in done.stdout
    assert "passed    deploy / tests / ci / test" in done.stdout and "passed    deploy / production" in done.stdout


CACHED = f"""
    one:
      steps:
        - {CHECKOUT}
        - uses: actions/cache@0
          with: {{path: stored, key: "of-${{{{ hashFiles('*.lock', '.gitignore') }}}}", restore-keys: of-}}
        - run: mkdir -p stored && echo run >> stored/runs && wc -l < stored/runs | xargs echo runs
"""


def test_a_cache_is_that_of_its_key_and_there_is_none_unless_asked_for(project):
    project.workflow("ci", CACHED)
    assert [f"runs {count}\n" in project.run().stdout for count in (1, 1)] == [True, True]
    said = [project.run("--caches").stdout for _ in range(3)]
    assert ["runs 1\n" in said[0], "runs 2\n" in said[1], "runs 2\n" in said[2]] == [True] * 3
    (project.folder / "new.lock").touch()
    project.workflow("ci", CACHED)  # another key: the newest of the prefix is restored, and saved under it
    assert "runs 2\n" in project.run("--caches").stdout
    assert "runs 3\n" in project.run("--caches").stdout


def test_an_artifact_goes_from_job_to_job_and_a_clone_comes_from_a_bare_repository(project, tmp_path_factory):
    project.workflow("ci", f"""
        one:
          steps:
            - run: mkdir out && echo made > out/file
            - {{uses: actions/upload-artifact@0, with: {{name: reports, path: out/}}}}
        two:
          needs: one
          steps:
            - {CHECKOUT}
            - {{uses: actions/download-artifact@0, with: {{name: reports, path: in/}}}}
            - run: cat in/file && git remote get-url origin
    """)  # fmt: skip
    bare = tmp_path_factory.mktemp("bare")
    project.git("clone", "--quiet", "--bare", ".", str(bare))
    done = project.run("--remote", bare.as_uri())
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"made\n{bare.as_uri()}\n" in done.stdout


FAULTS = {
    "unknown action": ("{uses: someone/unknown@0000}", "someone/unknown has no counterpart here"),
    "unsupported expression": ("{run: 'echo ${{ runner.os }}'}", "the context runner is not supported"),
    "time": ("{run: sleep 60}", "took longer than timeout-minutes"),
    "no token": ("{uses: aws-actions/configure-aws-credentials@0, with: {aws-region: x}}", "may not get an OIDC token"),
    "no artifact": ("{uses: actions/upload-artifact@0, with: {name: a, path: nowhere}}", "nowhere does not exist"),
    "no upload": ("{uses: actions/download-artifact@0, with: {name: a, path: in}}", "no job uploaded an artifact a"),
    "no python": ("{uses: actions/setup-python@0, with: {python-version: '2.1'}}", "Python 2.1 is not installed"),
}


@pytest.mark.parametrize(("step", "problem"), FAULTS.values(), ids=FAULTS.keys())
def test_what_a_runner_would_refuse_is_one_line(project, step, problem):
    project.workflow("ci", f"""
        one:
          timeout-minutes: 0.02
          steps: [{step}]
    """)  # fmt: skip
    done = project.run()
    assert done.returncode == 1
    assert problem in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
