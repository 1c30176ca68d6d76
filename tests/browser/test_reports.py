"""The reports in one file, in a real browser, wide and narrow, light and dark."""

import msgspec
import pytest

from lockstep.pages import data_report
from lockstep.pages.evaluation import page
from tests.lockstep.data_report.test_facts import NAMED, raw_rows, report_of
from tests.lockstep.pages.evaluation.conftest import content_of
from tests.lockstep.small_models import make

pytestmark = pytest.mark.server

UNNAMED = "[...document.querySelectorAll('svg[role=img]')].filter((one) => !one.getAttribute('aria-label')).length"
CUT_OFF = "[...document.querySelectorAll('main *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1"
CUT_OFF += " && !one.closest('.wide-table')).length"


def of_data():
    """Return the data report on rows with something of each kind."""
    return data_report.html(report_of(raw_rows(), NAMED))


def of_evaluation(task):
    """Return the evaluation report on a small model with a column of each kind and a leak."""
    content = content_of(make(task))
    leaking = {**vars(content), "facts": msgspec.structs.replace(content.facts, leaks={"size": 0.99})}
    return page.html(page.ReportContent(**leaking))


@pytest.fixture(
    scope="module",
    params=[of_data, lambda: of_evaluation("binary"), lambda: of_evaluation("regression")],
    ids=["data", "binary", "regression"],
)
def report(request, tmp_path_factory):
    """The address of a report as a file."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(request.param(), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_and_is_judged_accessible(browser, axe, report, width, scheme):
    browser.look_like(width, scheme)
    browser.open(report)
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run(CUT_OFF) == 0
    assert browser.run(UNNAMED) == 0
    assert browser.complaints() == []
    browser.run(axe)
    found = browser.run("axe.run().then((told) => told.violations.map((one) => one.id + ': ' + one.nodes[0].html))")
    assert found == [], found
    browser.open("about:blank")
