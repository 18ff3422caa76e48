"""Charts: where data land, what is left out, and that nothing from the data becomes markup."""

from __future__ import annotations

from itertools import pairwise
from math import nan
from xml.etree import ElementTree

import pytest

from edge_ttp.lab.diagnosis.charts import (
    HEIGHT,
    WIDTH,
    Dot,
    Legend,
    Line,
    bars_chart,
    lines_chart,
    map_chart,
    scatter_chart,
    standalone,
    swatch,
)


def ticks(svg: str, kind: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(svg).iter() if one.attrib.get("class") == f"tick {kind}"]


def test_doublings_are_evenly_spaced_and_values_on_a_straight_scale() -> None:
    svg = lines_chart([Line("a", "measured", [1, 2, 4, 8], [0, 1, 2, 4])], title="t", x_label="n", y_label="gain")
    marks = [one.attrib for one in ElementTree.fromstring(svg).iter() if "mark" in one.attrib.get("class", "")]
    xs, ys = [float(one["cx"]) for one in marks], [float(one["cy"]) for one in marks]
    assert xs[1] - xs[0] == pytest.approx(xs[3] - xs[2], abs=0.15)
    assert ys[0] - ys[1] == pytest.approx((ys[2] - ys[3]) / 2, abs=0.15)
    assert ticks(svg, "middle") == ["1", "2", "4", "8"]
    assert ticks(svg, "end") == ["0", "1", "2", "3", "4"]


def test_shares_are_told_in_percent_and_a_gap_breaks_the_line() -> None:
    line = Line("a", "law", [1, 2, 4, 8, 16], [0.0, 0.2, nan, 0.4, 0.5])
    svg = lines_chart([line], title="t", x_label="n", y_label="share", percent=True)
    assert ticks(svg, "end") == ["0%", "10%", "20%", "30%", "40%", "50%"]
    (path,) = [one.attrib["d"] for one in ElementTree.fromstring(svg).iter() if one.tag == "path"]
    assert (path.count("M"), path.count("L")) == (2, 2)


def test_labels_at_the_ends_of_lines_do_not_overlap() -> None:
    lines = [Line(f"line {place}", "other", [1, 2], [0, 1 + place / 1000]) for place in range(5)]
    root = ElementTree.fromstring(lines_chart(lines, title="t", x_label="n", y_label="y"))
    ys = sorted(float(one.attrib["y"]) for one in root.iter() if one.attrib.get("class", "").startswith("label"))
    assert min(after - before for before, after in pairwise(ys)) >= 16 - 0.1
    assert ys[-1] < HEIGHT


def test_both_scales_of_a_scatter_are_one_with_the_diagonal_on_which_they_agree() -> None:
    dots = [Dot(0.1, 0.4, "law", "a"), Dot(0.9, 0.9, "rival", "b")]
    svg = scatter_chart(dots, title="t", x_label="x", y_label="y", legend=[Legend("first", "law")])
    assert ticks(svg, "end")[: len(ticks(svg, "middle"))] == ticks(svg, "middle")
    (line,) = [one.attrib for one in ElementTree.fromstring(svg).iter() if one.attrib.get("class") == "zero"]
    assert float(line["x1"]) < float(line["x2"])
    assert float(line["y1"]) > float(line["y2"])
    assert scatter_chart([], title="t", x_label="x", y_label="y", legend=[]) == ""


def test_bars_below_0_are_wrong_and_the_rest_right() -> None:
    svg = bars_chart([-1, 0, 1], [0.25, 0.75], [0.5, 0.5], title="t", x_label="x", y_label="y")
    bars = [one for one in ElementTree.fromstring(svg).iter() if one.attrib.get("class", "").startswith("bar")]
    assert [one.attrib["class"] for one in bars] == ["bar wrong", "bar right"]
    assert float(bars[1].attrib["height"]) == pytest.approx(3 * float(bars[0].attrib["height"]), abs=0.2)


def test_what_comes_from_data_is_escaped() -> None:
    evil = "<script>\"'&"
    dots = map_chart([Dot(1, 0, "works", evil)], title=evil, x_label=evil, y_label=evil, x_range=(0.1, 10), limit=0.5)
    lines = lines_chart([Line(evil, "law", [1, 2], [0, 1])], title=evil, x_label=evil, y_label=evil)
    for svg in (dots, lines):
        assert "<script" not in svg
        assert ElementTree.fromstring(svg).attrib["aria-label"] == evil


def test_a_file_of_its_own_carries_its_colours_and_each_class_its_shape() -> None:
    whole = standalone(lines_chart([Line("a", "law", [1, 2], [0, 1])], title="t", x_label="x", y_label="y"))
    root = ElementTree.fromstring(whole)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme: dark" in whole
    assert root.attrib["viewBox"] == f"0 0 {WIDTH} {HEIGHT}"
    shapes = {style: ElementTree.fromstring(swatch(style))[0][0].tag for style in ("works", "misled", "collapsed")}
    assert shapes == {"works": "circle", "misled": "path", "collapsed": "rect"}


def test_charts_without_anything_to_show_are_empty() -> None:
    nothing = float("nan")
    assert lines_chart([], title="t", x_label="x", y_label="y") == ""
    assert lines_chart([Line("a", "law", [1, 2], [nothing, 1.0])], title="t", x_label="x", y_label="y") == ""
    assert lines_chart([Line("a", "law", [1, 2], [0.0, 0.0])], title="t", x_label="x", y_label="y") == ""
    assert bars_chart([-1, 0, 1], [0, 0], [], title="t", x_label="x", y_label="y") == ""


def test_everything_drawn_lies_inside_the_picture() -> None:
    lines = [
        Line("up", "measured", [1, 2, 4, 1000], [0, -5, float("nan"), 1e-3], [0, -6, 0, 0], [0, 1, 0, 2]),
        Line("down", "law", [1, 1000], [0, -1e3]),
    ]
    chart = lines_chart(lines, title="t", x_label="x", y_label="y")
    dots = map_chart(
        [Dot(0.0, -1, "collapsed", "a"), Dot(1e9, 1, "misled", "b")],
        title="t",
        x_label="x",
        y_label="y",
        x_range=(0.01, 10),
        limit=0.1,
    )
    for svg in (chart, dots):
        tree = ElementTree.fromstring(svg)
        width, height = (float(number) for number in tree.attrib["viewBox"].split()[2:])
        for element in tree.iter():
            for name, limit in (
                ("x", width),
                ("cx", width),
                ("y", height),
                ("cy", height),
                ("x1", width),
                ("y2", height),
            ):
                assert -5 <= float(element.attrib.get(name, 0)) <= limit + 5
