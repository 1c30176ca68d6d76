import re
from pathlib import Path

import pytest
import yaml

from lockstep import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page):
    folders = "src|docs|examples|scripts|benchmarks|notebooks|flask_app"
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", page.read_text(encoding="utf-8"))

    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_site_shows_every_page_once():
    nav = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), yaml.SafeLoader)["nav"]
    shown = [page for section in nav for pages in section.values() for page in _pages(pages)]

    assert len(shown) == len(set(shown))
    assert set(shown) == {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}


def _pages(entry):
    entries = entry if isinstance(entry, list) else [entry]
    return [page if isinstance(page, str) else next(iter(page.values())) for page in entries]


def test_readme_names_every_command():
    page = (ROOT / "README.md").read_text(encoding="utf-8")

    assert [name for name in cli.COMMANDS if f"`lockstep {name}" not in page] == []


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
