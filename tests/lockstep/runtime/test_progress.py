import io
import logging
import random
import sys

import pytest

from lockstep.runtime import progress
from lockstep.runtime.progress import Progress, TimeLeft


class Screen(io.StringIO):
    def isatty(self):
        return True


def screen(monkeypatch):
    """Put a terminal in place of standard error; in the test itself, since pytest replaces it after the fixtures."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stderr", Screen())
    return sys.stderr


DISPLAYS = {
    "bytes of a known size": (Progress("bytes", "https://example.org/rows.csv", 4_000_000), 2_000_000, "2.0/4.0 MB"),
    "bytes of an unknown size": (Progress("bytes", "https://example.org/rows.csv"), 2_000_000, "2.0/? MB"),
    "count": (Progress("count", "rows of [a].csv"), 12_345, "12,345 rows of [a].csv"),
    "items": (Progress("items", "parts", 9), 4, "4/9"),
}


@pytest.mark.parametrize("name", DISPLAYS)
def test_a_terminal_shows_how_much_is_done(monkeypatch, name):
    terminal = screen(monkeypatch)
    display, done, text = DISPLAYS[name]
    with display:
        display.update(done, "best so far [ridge]")
    assert text in terminal.getvalue()
    assert display.name.rpartition("/")[2] in terminal.getvalue()
    assert ("best so far [ridge]" in terminal.getvalue()) == (display.style == "items")


SILENT = {"hidden": Progress("hidden", "rows", 9), "done": Progress("items", "fits", 9, 9)}


@pytest.mark.parametrize("display", SILENT.values(), ids=SILENT)
def test_a_terminal_shows_nothing_that_is_hidden_or_done(monkeypatch, display):
    terminal = screen(monkeypatch)
    with display:
        display.update(9)
    assert terminal.getvalue() == ""


def test_without_a_terminal_and_a_log_nothing_is_shown(capsys):
    with Progress("bytes", "https://example.org/rows.csv", 100) as display:
        display.update(50)
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_the_log_gets_a_line_every_so_often(caplog, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with caplog.at_level(logging.INFO), Progress("items", "fits", 100, 40, logging.getLogger("search")) as display:
        for _ in range(30):
            now[0] += 1
            display.advance(detail="best so far ridge alpha=3: r2 0.5000")
    assert caplog.messages == ["60 of 100 fits, about 40 s left; best so far ridge alpha=3: r2 0.5000"]


KINDS = {
    "cheap first": [("ridge", 0.1)] * 20 + [("boosting", 8.0)] * 12,
    "dear first": [("boosting", 8.0)] * 12 + [("ridge", 0.1)] * 30,
    "alike": [("ridge", 1.0)] * 40,
    "three": [("ridge", 0.02)] * 30 + [("forest", 3.0)] * 5 + [("boosting", 12.0)] * 20,
}


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("name", KINDS)
def test_after_the_first_tenth_the_time_left_is_right_within_a_factor_of_two(name, jobs):
    for seed in range(20):
        draw = random.Random(seed)
        first = list(dict.fromkeys(KINDS[name]))
        items = [*first, *KINDS[name][len(first) :]] if len(first) > 1 else KINDS[name]
        items = [(kind, seconds * draw.uniform(0.6, 1.4)) for kind, seconds in items]
        left = TimeLeft((kind, 1.0) for kind, _ in items)
        for number, (kind, seconds) in enumerate(items):
            left.done(kind, 1.0, seconds)
            rest = sum(own for _, own in items[number + 1 :])
            if len(items) // 10 <= number < len(items) - 3:
                spent = sum(own for _, own in items[: number + 1])
                assert rest / 2 <= left.seconds(spent / jobs) * jobs <= rest * 2


def test_items_take_time_in_proportion_to_their_sizes():
    left = TimeLeft([("fit", 0.1), ("fit", 0.2), ("fit", 0.7)])
    assert left.seconds(1.0) == 0.0
    left.done("fit", 0.1, 2.0)
    assert left.seconds(2.0) == pytest.approx(18.0)


def test_progress_takes_the_estimate_of_kinds():
    display = Progress("items", "fits", 4)
    display.left = TimeLeft([("ridge", 1.0)] * 2 + [("forest", 1.0)] * 2)
    for kind, seconds in (("ridge", 1.0), ("forest", 9.0)):
        display.left.done(kind, 1.0, seconds)
    display.done = 2
    assert display.line(10.0) == "2 of 4 fits, about 10 s left"


def test_tracked_items_are_logged_with_the_time_left(caplog, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with caplog.at_level(logging.INFO):
        for rows in progress.tracked([100, 200, 700], "fits", logging.getLogger("evaluation"), float):
            now[0] += rows / 4
    assert caplog.messages == [
        "1 of 3 fits, about 4 min left", "2 of 3 fits, about 3 min left", "3 of 3 fits, about 0 s left",
    ]  # fmt: skip


def test_the_line_of_work_without_a_size_names_no_rest():
    assert Progress("count", "rows").line(5.0) == "0 rows"
