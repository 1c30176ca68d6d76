"""Jinja templates and style sheets of the HTML reports."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lockstep.html import charts, formatting

FOLDER = Path(__file__).with_name("pages")


def environment(filters: dict[str, Any], **names: Any) -> Environment:
    """Return the templates of every report, with the filters of `formatting`, further filters, and global names."""
    templates = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(formatting.FILTERS, **filters)
    templates.globals.update(names, shapes=charts)
    return templates


def style(*sheets: str) -> Markup:
    """Return style sheets of `pages/` as one text, for a page in one file."""
    text = "".join((FOLDER / sheet).read_text(encoding="utf-8") for sheet in sheets)
    return Markup(text)  # noqa: S704 - files of this package
