"""The dashboard and feedback in a real browser: it refreshes in place, keys are enough, and no script is needed."""

import time

import pytest

from lockstep.drift.results import Alert
from tests.browser.conftest import keep
from tests.lockstep import example_snapshot

pytestmark = pytest.mark.server

ALERTS = "document.querySelectorAll('.alerts > li').length"
AS_OF = "document.querySelector('#as-of time').dateTime"


@pytest.fixture
def dashboard(browser, address, figures):
    """The browser, with the dashboard open on figures of just now."""
    keep(figures, example_snapshot.snapshot(time.time()))
    browser.look_like(1280, "light")
    browser.open(f"{address}/dashboard?model=tumours")
    yield browser
    browser.open("about:blank")


def later(figures, change=lambda snapshot: None):
    """Let the recorder look again."""
    snapshot = example_snapshot.snapshot(time.time() + 2)
    change(snapshot)
    keep(figures, snapshot)


def test_it_refreshes_in_place(dashboard, figures):
    dashboard.run("document.getElementById('quiet-1').open = true; window.mark = 1; scrollTo(0, 900)")
    dashboard.run("document.querySelector('#quiet-1 summary').focus()")
    before, at = dashboard.run(AS_OF), dashboard.run("scrollY")
    own = Alert(9, "log", "", "", "the disk", "page", "it is full", time.time())
    later(figures, lambda snapshot: snapshot.alerts.append(own))
    dashboard.wait(f"{AS_OF} !== '{before}'")
    assert dashboard.run(ALERTS) == 3
    assert dashboard.run("document.getElementById('alert-count').textContent") == "3 alerts are open"
    assert dashboard.run("window.mark") == 1
    assert dashboard.run("document.getElementById('quiet-1').open")
    assert dashboard.run("document.activeElement.parentElement.id") == "quiet-1"
    assert abs(dashboard.run("scrollY") - at) < 200


def test_it_can_be_paused(dashboard, figures):
    dashboard.run("document.getElementById('pause').focus()")
    dashboard.press("Enter")
    assert dashboard.run("document.getElementById('pause').getAttribute('aria-pressed')") == "true"
    before = dashboard.run(AS_OF)
    later(figures)
    time.sleep(2.5)
    assert dashboard.run(AS_OF) == before
    dashboard.press("Enter")
    dashboard.wait(f"{AS_OF} !== '{before}'")


def test_keys_reach_all_that_can_be_done(dashboard):
    dashboard.run("document.body.focus()")
    reached = []
    for _ in range(40):
        dashboard.press("Tab")
        reached.append(
            dashboard.run("document.activeElement.closest('summary, a, button, [role=region]')?.textContent")
        )
    assert "Pause" in reached
    assert "by the hour" in reached
    assert any("quiet features" in (text or "") for text in reached)
    assert any("Promotions, rollbacks and refusals" in (text or "") for text in reached)


def test_pictures_have_words(dashboard):
    unnamed = "[...document.querySelectorAll('svg[role=img]')].filter((one) => !one.getAttribute('aria-label'))"
    assert dashboard.run(f"{unnamed}.length") == 0
    assert dashboard.run("document.querySelectorAll('svg[role=img]').length") > 40


def test_without_a_script_it_reloads(browser, address, figures):
    keep(figures, example_snapshot.snapshot(time.time()))
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(f"{address}/dashboard?model=tumours")
        assert browser.run("getComputedStyle(document.getElementById('pause')).display") == "none"
        assert browser.run("document.querySelector('meta[http-equiv=refresh]').content") == "30"
        assert browser.run(ALERTS) == 2
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)


def test_feedback_by_keys(browser, address):
    browser.look_like(1280, "light")
    browser.open(f"{address}/")
    browser.run("document.getElementById('one').requestSubmit()")
    browser.wait("!!document.querySelector('#truth')")
    browser.run("document.querySelector('#truth').focus()")
    wrong = browser.run("document.querySelector('#truth').options[1].value")
    browser.run("document.querySelector('#truth').selectedIndex = 1")
    browser.press("Tab")
    browser.press("Enter")
    browser.wait("document.querySelector('.thanks').textContent === 'Thank you: written down.'")
    browser.run("document.querySelector('.feedback form').requestSubmit()")
    browser.wait("document.querySelector('.thanks').textContent.includes('replaces')")
    assert wrong


def test_feedback_needs_no_script(browser, address):
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(f"{address}/")
        browser.run("document.querySelector('#one button[type=submit]').focus()")
        browser.press("Enter")
        browser.wait("location.pathname === '/predict' && document.readyState === 'complete'")
        browser.run("document.querySelector('.feedback button').focus()")
        browser.press("Enter")
        browser.wait("location.pathname === '/feedback' && document.readyState === 'complete'")
        assert browser.run("document.querySelector('h1').textContent") == "Thank you"
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)
