"""The data report in a real browser, wide and narrow, light and dark."""

import pytest

from lockstep.data import report_page
from tests.lockstep.data.test_report import facts_of, raw_rows

pytestmark = pytest.mark.server

UNNAMED = "[...document.querySelectorAll('svg[role=img]')].filter((one) => !one.getAttribute('aria-label')).length"
CUT_OFF = "[...document.querySelectorAll('main *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1"
CUT_OFF += " && !one.closest('.wide-table')).length"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report on rows with something of each kind, as a file."""
    path = tmp_path_factory.mktemp("report") / "data.html"
    path.write_text(report_page.html(facts_of(raw_rows())), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_and_is_judged_accessible(browser, axe, page, width, scheme):
    browser.look_like(width, scheme)
    browser.open(page)
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run(CUT_OFF) == 0
    assert browser.run(UNNAMED) == 0
    assert browser.complaints() == []
    browser.run(axe)
    found = browser.run("axe.run().then((told) => told.violations.map((one) => one.id + ': ' + one.nodes[0].html))")
    assert found == [], found
    browser.open("about:blank")
