import math
import re
from xml.etree import ElementTree

import pytest

from lockstep.drift.results import Distribution, Interval, QualityWindow, Traffic
from lockstep.html import charts as shapes
from lockstep.pages import charts
from tests.lockstep import example_snapshot


def boxes(path):
    """Return x, y, width and height of the bars of a path."""
    found = re.findall(r"M([\d.-]+) ([\d.-]+)h([\d.]+)v([\d.]+)h-[\d.]+z", path)
    return [tuple(map(float, one)) for one in found]


def paths(drawn, kind):
    return [one.get("d") for one in ElementTree.fromstring(str(drawn)).iter("path") if kind in one.get("class").split()]


def test_bars_are_stacked_to_the_count_of_each_bucket():
    drawn = charts.traffic(Traffic(60, [0.0, 60.0, 180.0], {"1": [4, 0, 2], "2": [0, 8, 2]}))
    (first,), (second,) = paths(drawn, "v1"), paths(drawn, "v2")
    assert boxes(first) == [(0.08, 50, 0.84, 50), (3.08, 75, 0.84, 25)]
    assert boxes(second) == [(1.08, 0, 0.84, 100), (3.08, 50, 0.84, 25)]
    assert ElementTree.fromstring(str(drawn)).get("viewBox") == "0 0 4 100"


def test_the_area_of_a_bar_is_its_share():
    window = Distribution([0.5, 0.25, 0.25], edges=[0.0, 1.0, 2.0, 6.0])
    (bars,) = paths(charts.overlaid(None, window, "x"), "now")
    areas = [width * height for _, _, width, height in boxes(bars)]
    assert areas == pytest.approx([area * sum(areas) for area in window.shares], rel=1e-2)


@pytest.mark.parametrize("edges", [[-math.inf, 0.0, 1.0, math.inf], [0.0, 1e-6, 5.0, 5.1], [1.0, 1.0, 1.0, 1.0]])
def test_bins_that_cannot_be_drawn_to_scale_are_equally_wide(edges):
    (bars,) = paths(charts.overlaid(None, Distribution([0.2, 0.3, 0.5], edges=edges), "x"), "now")
    assert {round(width, 1) for _, _, width, _ in boxes(bars)} == {33.3}


def test_intervals_stand_in_order_of_time_with_the_evaluation_behind():
    windows = [QualityWindow("2", 10, 20, 50, "quiet", Interval(0.8, 0.7, 0.9)), QualityWindow("1", 0, 10, 3, "quiet")]
    drawn, low, high = charts.quality(windows, Interval(0.85, 0.8, 0.9))
    assert low < 0.7 < 0.9 < high
    assert len(paths(drawn, "whisker")) == 1
    assert len(paths(drawn, "band")) == 1
    assert charts.quality([], Interval(0.85, 0.8, 0.9))[0] == ""


def test_a_share_is_marked_beside_its_baseline():
    drawn = shapes.share(0.25, 0.0, "a")
    assert boxes(paths(drawn, "now")[0]) == [(0, 20, 25, 60)]
    assert paths(drawn, "then") == ["M0.4 0V100"]


def test_words_cannot_become_marks():
    drawn = str(shapes.share(0.2, 0.3, example_snapshot.ODD))
    assert "<img" not in drawn
    ElementTree.fromstring(drawn)


def test_a_version_has_one_colour():
    assert shapes.colour("12") == shapes.colour("12") != shapes.colour("11")
    assert re.fullmatch(r"v[0-5]", shapes.colour("2026-11-21"))
