import re
from pathlib import Path

import pytest

from lockstep import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = sorted(path for path in (ROOT / "src/lockstep").rglob("*.py") if not path.name.startswith("__"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page):
    folders = "src|docs|examples|scripts|benchmarks|notebooks|flask_app"
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", page.read_text(encoding="utf-8"))

    assert [name for name in named if not (ROOT / name).exists()] == []


def test_architecture_names_every_module():
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    names = [".".join(path.relative_to(ROOT / "src/lockstep").with_suffix("").parts) for path in MODULES]

    assert [name for name in names if not name.startswith("commands.") and f"`{name}`" not in page] == []


def test_readme_names_every_command():
    page = (ROOT / "README.md").read_text(encoding="utf-8")

    assert [name for name in cli.COMMANDS if f"`lockstep {name}" not in page] == []


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
