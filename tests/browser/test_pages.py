"""The pages in a real browser: nothing that axe calls serious, keys that work, and all of it without JavaScript too."""

import csv
import io
import json
import time
import urllib.request

import pytest

from tests.browser import chromium
from tests.flask_app.standins import ODD

pytestmark = pytest.mark.server

LOOKS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
SERIOUS = ("serious", "critical")
SEND = "document.getElementById('one').requestSubmit()"
ANSWERED = "!!document.querySelector('#answer output') && !document.querySelector('[aria-busy]')"
WRONG = """
const form = document.getElementById('one');
form.noValidate = true;
form.elements.size.type = 'text';
form.elements.size.value = 'wide';
form.elements.day.value = '';
form.requestSubmit();
"""


def template(address):
    """Return the file to fill in."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{address}/predict/template.csv") as answer:
        return answer.read().decode()


def awaited(path):
    """Return the text of a file that a browser is about to save; it takes its name when it is whole."""
    end = time.monotonic() + chromium.PATIENCE_S
    while not path.is_file():
        assert time.monotonic() < end, f"{path.name} was not saved"
        time.sleep(0.05)
    return path.read_text(encoding="utf-8")


def send_file(browser, folder, change):
    """Upload 30 rows, the last of them changed."""
    header, row = csv.reader(io.StringIO(template(browser.run("location.origin")), newline=""))
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *[row] * 29, [*change, *row[len(change) :]]])
    browser.choose("#file", folder / "rows.csv")
    browser.run("document.getElementById('file-form').requestSubmit()")
    browser.wait("document.querySelector('#file-answer').childElementCount > 0")


def untouched(browser, folder):
    pass


def answered(browser, folder):
    browser.run("document.getElementById('one').elements.size.value = '999'")
    browser.run(SEND)
    browser.wait(ANSWERED)
    browser.run("document.querySelectorAll('details').forEach((one) => (one.open = true))")


def refused(browser, folder):
    browser.run(WRONG)
    browser.wait("!!document.querySelector('#problems .card')")


def file_answered(browser, folder):
    send_file(browser, folder, [])
    browser.wait("!!document.querySelector('#file-answer table')")


def file_refused(browser, folder):
    send_file(browser, folder, ["wide"])
    browser.wait("!!document.querySelector('#file-answer .problems')")


def tried(browser, folder):
    browser.run("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    browser.run("document.querySelector('[data-path=\"/predict\"] button').click()")
    browser.wait("document.querySelector('[data-path=\"/predict\"] .status').textContent.startsWith('200')")
    assert '"prediction"' in browser.run("document.querySelector('[data-path=\"/predict\"] .reply').textContent")


def unfolded(browser, folder):
    browser.run("document.querySelectorAll('details').forEach((one) => (one.open = true))")


def fed_back(browser, folder):
    answered(browser, folder)
    browser.run("document.querySelector('.feedback form').requestSubmit()")
    browser.wait("document.querySelector('.thanks').textContent.startsWith('Thank you')")


STATES = {
    "form": ("/", untouched),
    "answer": ("/", fed_back),
    "errors": ("/", refused),
    "file": ("/", file_answered),
    "wrong file": ("/", file_refused),
    "health": ("/health", untouched),
    "model card": ("/model", untouched),
    "API": ("/docs", untouched),
    "API tried": ("/docs", tried),
    "feedback": ("/feedback", untouched),
    "dashboard": ("/dashboard?model=tumours", unfolded),
    "nothing here": ("/nowhere", untouched),
}


def judged(browser, axe):
    """Return what axe finds serious on the page."""
    browser.run(f"{axe}; 0")
    found = json.loads(browser.run("axe.run(document).then((result) => JSON.stringify(result.violations))"))
    return [(one["id"], one["nodes"][0]["html"][:120]) for one in found if one["impact"] in SERIOUS]


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
@pytest.mark.parametrize("state", STATES)
def test_pages_are_fit_for_all(browser, axe, address, tmp_path, state, width, scheme):
    path, reach = STATES[state]
    browser.look_like(width, scheme)
    browser.complaints()
    browser.open(address + path)
    reach(browser, tmp_path)
    assert judged(browser, axe) == []
    assert browser.run("document.documentElement.scrollWidth") == width
    assert browser.complaints() == []


WORDY = "document.querySelector('textarea').value = 'a bad <b>film</b>, a wonderful cast'"


@pytest.mark.parametrize(("width", "scheme"), LOOKS[::3])
def test_marked_words_are_fit_for_all(browser, axe, readers, width, scheme):
    browser.look_like(width, scheme)
    browser.complaints()
    browser.open(f"{readers}/")
    browser.run(f"{WORDY}; {SEND}")
    browser.wait(ANSWERED)
    marks = (
        "[...document.querySelectorAll('.marked mark')].map((one) => one.textContent + ' ' + one.classList[0]).sort()"
    )
    found = browser.run(marks)
    assert {"bad for", "wonderful against"} <= set(found) or {"bad against", "wonderful for"} <= set(found)
    assert judged(browser, axe) == []
    assert browser.run("document.documentElement.scrollWidth") == width
    assert browser.complaints() == []


def test_trees_say_why_when_the_box_is_ticked(browser, axe, trees):
    browser.look_like(390, "light")
    browser.open(f"{trees}/")
    browser.run(SEND)
    browser.wait(ANSWERED)
    assert browser.run("document.querySelectorAll('.why').length") == 0
    browser.run(f"document.querySelector('.explain input').click(); {SEND}")
    browser.wait("document.querySelectorAll('.why rect[width]').length >= 10")
    assert browser.run("document.querySelector('.explain input').checked")
    assert judged(browser, axe) == []
    assert browser.run("document.documentElement.scrollWidth") == 390


def test_the_judge_bites(browser, axe, address):
    browser.open(f"{address}/")
    browser.run("document.querySelector('#one label').remove()")
    assert "label" in [rule for rule, _ in judged(browser, axe)]


def test_what_the_policy_forbids_is_told(browser, address):
    browser.open(f"{address}/")
    browser.complaints()
    browser.run("document.body.insertAdjacentHTML('beforeend', '<p style=\"color:red\">x')")
    browser.run("0")
    assert any("Content Security Policy" in text for text in browser.complaints())


def test_keys_are_enough(browser, address):
    browser.look_like(1280, "light")
    browser.open(f"{address}/")
    browser.run("localStorage.clear()")
    browser.open(f"{address}/")
    assert browser.run("document.activeElement.name") == "size"
    browser.run("document.activeElement.select()")
    browser.send("Input.insertText", text="20")
    for name in (ODD, "rooms", "place"):
        browser.press("Tab")
        assert browser.run("document.activeElement.name") == name
    browser.press("Enter", modifiers=2)
    browser.wait(ANSWERED)
    assert browser.run("document.querySelector('#answer output').textContent") == "<low>"
    assert browser.run("document.activeElement.name") == "place"
    assert browser.run("document.getElementById('one').elements.size.value") == "20"


def test_recent_answers_come_back_until_cleared(browser, address):
    browser.open(f"{address}/")
    browser.run("localStorage.clear()")
    browser.open(f"{address}/")
    for size in ("20", "70", "70"):
        browser.run(f"document.getElementById('one').elements.size.value = '{size}'")
        browser.run(f"document.querySelector('#answer').replaceChildren(); {SEND}")
        browser.wait(ANSWERED)
    browser.open(f"{address}/")
    assert browser.run("[...document.querySelectorAll('button.recent b')].map((one) => one.textContent)") == [
        "top",
        "<low>",
    ]
    browser.run("document.querySelectorAll('button.recent')[1].click()")
    assert browser.run("document.getElementById('one').elements.size.value") == "20"
    browser.run("document.getElementById('recent-clear').click()")
    assert browser.run("document.getElementById('recent').hidden")
    assert browser.run("localStorage.getItem('lockstep recent demo')") == "[]"


def test_results_can_be_saved(browser, address, tmp_path):
    browser.open(f"{address}/")
    file_answered(browser, tmp_path)
    assert browser.run("document.querySelectorAll('#file-answer tbody tr').length") == 20
    browser.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.run("document.querySelector('#file-answer a').click()")
    saved = awaited(tmp_path / "rows-predictions.csv")
    header, *rows = csv.reader(io.StringIO(saved, newline=""))
    assert (len(rows), header[-4]) == (30, "prediction")


@pytest.fixture
def unscripted(browser):
    """The browser with JavaScript switched off."""
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    yield browser
    browser.send("Emulation.setScriptExecutionDisabled", value=False)


def test_the_form_needs_no_script(unscripted, address):
    unscripted.look_like(1280, "light")
    unscripted.open(f"{address}/")
    assert not unscripted.run("document.documentElement.classList.contains('js')")
    assert unscripted.run("getComputedStyle(document.querySelector('.keys')).display") == "none"
    unscripted.run("document.activeElement.select()")
    unscripted.send("Input.insertText", text="20")
    unscripted.press("Enter")
    unscripted.wait("location.pathname === '/predict' && document.readyState === 'complete'")
    assert unscripted.run("document.querySelector('#answer output').textContent") == "<low>"
    assert unscripted.run("document.activeElement.className") == "card result"


def test_files_need_no_script(unscripted, address, tmp_path):
    unscripted.open(f"{address}/")
    (tmp_path / "sent.csv").write_text(template(address), encoding="utf-8")
    unscripted.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    unscripted.choose("#file", tmp_path / "sent.csv")
    unscripted.run("document.querySelector('#file-form button').focus()")
    unscripted.press("Enter")
    assert awaited(tmp_path / "predictions.csv").count("\n") == 2
    (tmp_path / "sent.csv").write_text("size\r\nwide\r\n", encoding="utf-8")
    unscripted.open(f"{address}/")
    unscripted.choose("#file", tmp_path / "sent.csv")
    unscripted.run("document.querySelector('#file-form button').focus()")
    unscripted.press("Enter")
    unscripted.wait("location.pathname === '/predict/file' && document.readyState === 'complete'")
    assert unscripted.run("document.activeElement.id") == "file-problems"
    assert "missing column" in unscripted.run("document.activeElement.textContent")
