"""The evaluation report in a real browser, wide and narrow, light and dark."""

import pytest

from lockstep.evaluation_report import page
from tests.browser.test_data_report import CUT_OFF, UNNAMED
from tests.lockstep.evaluation_report.conftest import content_of
from tests.lockstep.modeling.conftest import make

pytestmark = pytest.mark.server


@pytest.fixture(scope="module", params=["binary", "regression"])
def address(request, tmp_path_factory):
    """The report on a small model with a column of each kind and a leak, as a file."""
    content = content_of(make(request.param))
    path = tmp_path_factory.mktemp("report") / "report.html"
    leaking = {**vars(content), "facts": {**content.facts, "leaks": {"size": 0.99}}}
    path.write_text(page.html(page.Content(**leaking)), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_and_is_judged_accessible(browser, axe, address, width, scheme):
    browser.look_like(width, scheme)
    browser.open(address)
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run(CUT_OFF) == 0
    assert browser.run(UNNAMED) == 0
    assert browser.complaints() == []
    browser.run(axe)
    found = browser.run("axe.run().then((told) => told.violations.map((one) => one.id + ': ' + one.nodes[0].html))")
    assert found == [], found
    browser.open("about:blank")
