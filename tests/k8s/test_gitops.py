"""scripts/gitops with real git, a bare repository, real kubectl, and a stand-in for Argo CD that renders the folder."""

import shutil
import subprocess
import threading

import pytest
import yaml

from tests import ops
from tests.k8s.conftest import BAD, GOOD, MUTE, OTHER, VPC, bare
from tests.k8s.objects import ROOT

pytestmark = pytest.mark.server
needs_time = pytest.mark.usefixtures("time_at_hand")
APPLICATIONS = ("argoproj.io/v1alpha1", "applications")
FILE = "k8s/gitops/eks/kustomization.yaml"
ZERO = f"registry.example.com/flask-app@sha256:{'0' * 64}"


class Project:
    """A clone of a bare repository with the manifests and the scripts."""

    def __init__(self, folder):
        self.folder, self.root, self.origin = folder, folder / "clone", folder / "origin"
        self.env = bare(folder) | {"GIT_CONFIG_NOSYSTEM": "1"}

    def git(self, *words, cwd=None):
        words = ("-c", "user.name=a", "-c", "user.email=a@b.c", *words)
        done = ops.run("git", *words, env=self.env, cwd=cwd or self.root)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def make(self):
        self.git("init", "--quiet", "--bare", "--initial-branch", "main", self.origin, cwd=self.folder)
        self.git("clone", "--quiet", self.origin, self.root, cwd=self.folder)
        (self.root / "scripts").mkdir()
        for name in ("gitops", "cluster.sh", "smoke"):
            shutil.copy(ROOT / "scripts" / name, self.root / "scripts")
        shutil.copytree(ROOT / "k8s", self.root / "k8s")
        for path in (self.root / "k8s").rglob("*.yaml"):  # as `scripts/eks component` does for a cluster
            path.write_text(path.read_text().replace("VPC-RANGE", VPC).replace("app-host.invalid", "models.test"))
        shutil.copytree(ROOT / "monitoring", self.root / "monitoring")
        (self.root / ".gitignore").write_text("build/\n")
        self.commit("first")
        return self

    def commit(self, message, cwd=None):
        self.git("add", "-A", cwd=cwd)
        self.git("commit", "--quiet", "-m", message, cwd=cwd)
        self.git("push", "--quiet", "origin", "HEAD:main", cwd=cwd)

    def run(self, image, *words):
        command = [self.root / "scripts/gitops", "--image", image, "--every", "0.1", "--timeout", "30", *words]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=120)

    def log(self):
        return self.git("log", "--format=%s", "main", cwd=self.origin).splitlines()

    def image(self):
        """Return the image that the branch has."""
        content = yaml.safe_load(self.git("show", f"main:{FILE}", cwd=self.origin))
        return f"{content['images'][0]['newName']}@{content['images'][0]['digest']}"

    def left_behind(self):
        """Return what a run left in the clone: worktrees, changes, folders, commits of its branch."""
        trees = self.git("worktree", "list").splitlines()[1:]
        folders = [str(each) for each in self.root.glob("build/*")]
        ahead = self.git("log", "--format=%s", "origin/main..HEAD")
        return trees, self.git("status", "--porcelain"), folders, ahead


@pytest.fixture
def project(kubectl, tmp_path):
    return Project(tmp_path).make()


class Argo(threading.Thread):
    """Synchronises as Argo CD does: the Application's folder of the newest commit, rendered by kubectl."""

    def __init__(self, api, project, kubectl):
        super().__init__()
        self.api, self.project, self.kubectl, self.ending = api, project, kubectl, threading.Event()
        self.bad, self.served, self.checkout, self.error = {BAD}, None, project.folder / "argo", ""

    def run(self):
        self.project.git("clone", "--quiet", self.project.origin, self.checkout, cwd=self.project.folder)
        while not self.ending.wait(0.05):
            self.project.git("fetch", "--quiet", "origin", "main", cwd=self.checkout)
            self.project.git("checkout", "--quiet", "FETCH_HEAD", cwd=self.checkout)
            self.synchronise(self.project.git("rev-parse", "HEAD", cwd=self.checkout))

    def synchronise(self, revision):
        application = self.api.cluster.get(APPLICATIONS, "argocd", "lockstep")
        if application.get("status", {}).get("sync", {}).get("revision") == revision:
            return
        done = ops.run(self.kubectl, "kustomize", self.checkout / application["spec"]["source"]["path"])
        assert done.returncode == 0, done.stderr
        objects = list(yaml.safe_load_all(done.stdout))
        pods = next(each for each in objects if each["kind"] == "Deployment")["spec"]["template"]["spec"]
        image = pods["containers"][0]["image"]
        state = {"phase": "Failed" if self.error else "Succeeded", "message": self.error}
        self.served = self.served if self.error else image
        application["status"] = {
            "sync": {"status": "OutOfSync" if self.error else "Synced", "revision": revision},
            "health": {"status": "Degraded" if image in self.bad else "Healthy"},
            "operationState": state | {"syncResult": {"revision": revision}},
        }
        self.api.cluster.put(APPLICATIONS, application)


@pytest.fixture
def argo(api, project, kubectl, app):
    application = yaml.safe_load((ROOT / "k8s/argocd/application.yaml").read_text())
    api.cluster.put(APPLICATIONS, application)
    api.kubeconfig(project.folder / "kubeconfig")
    thread = Argo(api, project, kubectl)
    app.silent = lambda: thread.served == MUTE
    thread.start()
    yield thread
    thread.ending.set()
    thread.join()


@pytest.fixture
def gitops(argo, app, project):
    return lambda image, *words: project.run(image, "--url", app.url, *words)


def test_the_digest_is_committed_and_health_awaited(gitops, project, argo, app):
    (project.root / FILE).write_text("# half a thought\n")
    done = gitops(GOOD)
    assert done.returncode == 0, done.stderr
    assert (project.image(), argo.served) == (GOOD, GOOD)
    assert project.log() == [f"Deploy sha256:{'a' * 64}", "first"]
    assert done.stdout.splitlines()[-1] == f"{GOOD} serves"
    assert "/predict" in app.asked
    assert project.left_behind()[1:3] == (f"M {FILE}", []), "the working tree is the user's"
    assert (project.root / FILE).read_text() == "# half a thought\n"
    changed = project.git("show", "--stat", "--format=%b", "main", cwd=project.origin)
    assert "[skip ci]" in changed, "a workflow that this commit starts would build and commit for ever"
    assert "1 file changed, 2 insertions(+), 2 deletions(-)" in changed


def test_twice_is_once(gitops, project, api):
    assert gitops(GOOD).returncode == 0
    before = project.log()
    done = gitops(GOOD)
    assert (done.returncode, project.log()) == (0, before)
    assert "has " + GOOD + " already" in done.stderr
    assert project.left_behind() == ([], "", [], "")


def hook(project, text):
    """Write a hook of the bare repository, which runs at each push before it is taken."""
    path = project.origin / "hooks/pre-receive"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


RACE = """[ -e raced ] && exit 0
touch raced
unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_DIR
git -C {other} push --quiet {origin} HEAD:main 2>&1
"""


def raced(project, path, text):
    """Let another clone push a change of a file while the next push is under way."""
    other = project.folder / "other"
    project.git("clone", "--quiet", project.origin, other, cwd=project.folder)
    (other / path).write_text(text((other / path).read_text()))
    project.git("add", "-A", cwd=other)
    project.git("commit", "--quiet", "-m", "another", cwd=other)
    hook(project, RACE.format(other=other, origin=project.origin))


def test_a_push_race_is_retried_on_top_of_the_other_commit(gitops, project):
    raced(project, ".gitignore", lambda text: text + "other/\n")
    done = gitops(GOOD)
    assert done.returncode == 0, done.stderr
    assert project.log() == [f"Deploy sha256:{'a' * 64}", "another", "first"]
    assert project.left_behind()[:3] == ([], "", [])


def test_of_two_deployments_at_once_the_second_ends_with_the_name_of_the_file(gitops, project):
    raced(project, FILE, lambda text: text.replace("0" * 64, "b" * 64))
    done = gitops(GOOD)
    assert done.returncode == 1
    assert f"error: another run changed {FILE}" in done.stderr
    assert project.log() == ["another", "first"]
    assert project.left_behind()[:3] == ([], "", [])


def test_what_does_not_become_healthy_is_reverted(gitops, project, argo):
    assert gitops(GOOD).returncode == 0
    done = gitops(BAD)
    assert done.returncode == 1
    assert project.image() == GOOD
    assert project.log()[:2] == [f'Revert "Deploy sha256:{"c" * 64}"', f"Deploy sha256:{'c' * 64}"]
    assert f"reverted, Argo CD goes back to {GOOD}" in done.stderr
    assert project.left_behind() == ([], "", [], "")


@needs_time
def test_what_answers_wrong_is_reverted(gitops, project):
    assert gitops(OTHER).returncode == 0
    done = gitops(MUTE)
    assert (done.returncode, project.image()) == (1, OTHER)
    assert "are healthy, and do not answer right; reverted" in done.stderr


@needs_time
def test_a_failed_synchronisation_ends_the_wait_with_its_message(gitops, project, argo):
    argo.error = "the admission webhook denied the request"
    done = gitops(GOOD)
    assert done.returncode == 1
    assert "last synchronisation Failed: the admission webhook denied the request" in done.stderr
    assert "there was no image before it" in done.stderr
    assert project.image() == GOOD, "a first image is left to be looked at"


def test_a_refused_push_is_named_and_leaves_nothing(gitops, project):
    hook(project, "echo protected branch; exit 1\n")
    done = gitops(GOOD)
    assert done.returncode == 1
    assert "error: origin refuses the push of the digest to main" in done.stderr
    assert "protected branch" in done.stderr
    assert (project.log(), project.image()) == (["first"], ZERO)
    assert project.left_behind() == ([], "", [], "")


def test_without_a_cluster_it_commits_only(project):
    done = project.run(GOOD, "--no-wait")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{GOOD} is committed\n"
    assert project.image() == GOOD


@needs_time
def test_another_overlay_gets_its_folder(project):
    done = project.run(GOOD, "--no-wait", "--overlay", "local")
    assert done.returncode == 0, done.stderr
    folder = project.folder / "argo"
    project.git("clone", "--quiet", project.origin, folder, cwd=project.folder)
    rendered = ops.run("kubectl", "kustomize", folder / "k8s/gitops/local")
    assert f"image: {GOOD}" in rendered.stdout
    assert project.image() == ZERO, "that of the other overlay"


@needs_time
def test_a_dry_run_changes_nothing(gitops, project):
    done = gitops(GOOD, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "commit --quiet" in done.stderr
    assert (project.log(), project.left_behind()) == (["first"], ([], "", [], ""))


def test_what_only_the_cluster_can_say_is_not_committed_without_it(gitops, project):
    path = project.root / "k8s/components/ingress/network-policy.yaml"
    path.write_text(path.read_text().replace(VPC, "VPC-RANGE"))
    project.commit("no facts")
    done = gitops(GOOD)
    assert done.returncode == 1
    assert "error: VPC-RANGE in k8s/gitops/eks: Argo CD would apply it" in done.stderr
    assert (project.log(), project.left_behind()) == (["no facts", "first"], ([], "", [], ""))


def other_application(**source):
    def change(api, project):
        application = api.cluster.get(APPLICATIONS, "argocd", "lockstep")
        application["spec"]["source"].update(source)
        api.cluster.put(APPLICATIONS, application)

    return change


@pytest.mark.parametrize(
    ("change", "words", "said"),
    [
        (other_application(path="k8s/overlays/eks"), [], "applies k8s/overlays/eks, and not k8s/gitops/eks"),
        (other_application(targetRevision="release"), [], "follows release, and not main"),
        (other_application(kustomize={"images": [f"flask-app={OTHER}"]}), [], "has an image of its own"),
        (lambda api, project: None, ["--application", "other"], "shows no Application other"),
        (lambda api, project: None, ["--image", "flask-app:1"], "flask-app:1 is not an image by digest"),
        (lambda api, project: None, ["--overlay", "moon", "--no-wait"], "there is no overlay moon on main"),
        (lambda api, project: None, ["--branch", "moon", "--no-wait"], "git cannot fetch moon of origin"),
        (lambda api, project: None, ["--timeout", "10m"], "--timeout 10m is not a number of seconds"),
        (lambda api, project: None, ["--url"], "--url needs a value"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named_before_anything_is_committed(gitops, api, project, change, words, said):
    change(api, project)
    done = gitops(GOOD, *words)
    assert done.returncode == 1
    assert said in done.stderr
    assert "hint: " in done.stderr
    assert (project.log(), project.left_behind()) == (["first"], ([], "", [], ""))
