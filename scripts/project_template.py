"""Write the template of a project that depends on the wheel, from the files of this repository, as one archive.

Where a project differs, the file says so: lines from `# <library` to `# library>` are those of this repository alone,
and what follows `# project:` is a line of a project. In dvc.yaml the requirement that pins the wheel takes the place of
the library's folders. Files of `template/` replace those of the same path.

Example: python scripts/project_template.py build
"""

import io
import re
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIN = "requirements-lockstep.txt"
FILES = (
    *(
        ".dvc/.gitignore",
        ".dvc/config",
        ".dvcignore",
        ".dockerignore",
        ".env.example",
        ".gitignore",
        ".github",
        ".gitlab-ci.yml",
    ),
    *("Dockerfile", "Makefile", "compose", "compose.yaml", "dvc.yaml", "examples", "infra", "k8s", "monitoring"),
    ":(glob)docs/*.md",
    *("data/external/README.md", "features.py", "models/.gitkeep", "notebooks", "pyproject.toml", "requirements*.lock"),
    *("src/*.py", "tests_project", "template"),
)
SCRIPTS = (
    *(
        "attach",
        "backup",
        "change_report",
        "ci_local.py",
        "cluster.sh",
        "compose",
        "database",
        "database_setup.py",
        "deploy",
        "eks",
        "gitops",
    ),
    *("image", "image_content.py", "image_registry.py"),
    *("infra", "metrics_diff", "outside.py"),
    *(
        "preflight",
        "prometheus_rule.py",
        "propose",
        "pull_request_comment",
        "pull_data",
        "push",
        "push_data",
        "remote",
        "repro",
        "results",
        "retrain",
        "rollback",
        "sbom",
        "scan",
        "secret",
    ),
    *(
        "slim_image.py",
        "smoke",
        "spaced.py",
        "teardown",
        "use_cases.py",
        "workflow_actions.py",
        "workflow_expressions.py",
    ),
)
LEFT_OUT = ("src/lockstep", "tests_project/test_lock.py", "requirements-ops.lock")
"""The library, which is in the wheel; what serves checks of this repository alone."""

MTIME = 1_577_836_800
"""Of every file; a zip file takes none from before 1980."""

LIBRARY = re.compile(r"^ *# <library.*?^ *# library>\n\n?", re.DOTALL | re.MULTILINE)
PROJECT = re.compile(r"^( *)# project: ?", re.MULTILINE)


def write(folder: Path) -> None:
    """Write the archive into a folder; the same files give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / "template.tar.xz", "w:xz") as archive:
        for name, path in sorted(contents().items()):
            content = rendered(name, path.read_bytes())
            member = tarfile.TarInfo(name)
            member.mtime = MTIME
            member.size, member.mode = len(content), 0o755 if path.stat().st_mode & 0o100 else 0o644
            archive.addfile(member, io.BytesIO(content))


def contents() -> dict[str, Path]:
    """Return the files of a project by their paths there; files that git does not track are none of them."""
    words = ["git", "ls-files", "-z", "--", *FILES, *(f"scripts/{name}" for name in SCRIPTS)]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    named = {name: ROOT / name for name in filter(None, listed) if not name.startswith(LEFT_OUT)}
    replaced = {name.removeprefix("template/"): named.pop(name) for name in [*named] if name.startswith("template/")}
    return named | replaced | {"params.yaml": ROOT / "examples/breast-cancer.yaml"}


def rendered(name: str, content: bytes) -> bytes:
    """Return a file as it stands in a project."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    text = PROJECT.sub(r"\1", LIBRARY.sub("", text))
    if name == "dvc.yaml":
        text = re.sub(r"^ +- src/lockstep.*\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"^( +- )(src/\w+\.py\n)", rf"\1{PIN}\n\1\2", text, flags=re.MULTILINE)
    return text.encode()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
