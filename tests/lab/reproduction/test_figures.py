"""Figures: one line a task or variant, both forms beside the ceiling, a dot a point of the law."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from edge_ttp.lab.reproduction.figures import STYLES, ceiling_figure, curves_figure, law_figure, styles
from edge_ttp.lab.reproduction.findings import Ceiling, Curve
from edge_ttp.lab.reproduction.law_test import LawCase, LawTest
from edge_ttp.scaling import fit_ceilings, harmonic

SVG = "{http://www.w3.org/2000/svg}"
N = np.arange(1, 9)


def ceiling(task: str, policy: str) -> Ceiling:
    gain = 0.05 * (harmonic(N.astype(np.float64)) - 1)
    return Ceiling(task, policy, N, gain, fit_ceilings(N, gain), 1.0, np.diff(gain[[0, 1, 3, 7]]), 1.0)


def labels(svg: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(svg).iter() if one.attrib.get("class", "")[:6] == "label "]


def test_classes_are_given_out_in_order_and_shared_by_what_is_too_many() -> None:
    names = [f"v{place}" for place in range(len(STYLES) + 1)]
    assert list(styles(names).values()) == [*STYLES, STYLES[0]]


def test_a_ceiling_is_drawn_as_a_part_of_its_own_gain_at_2() -> None:
    svg = ceiling_figure([ceiling("titles", "small"), ceiling("notes", "small"), ceiling("x", "large")], "small")
    assert sorted(labels(svg)) == ["Gaussian", "exponential", "notes", "titles"]
    paths = [one.attrib["d"] for one in ElementTree.fromstring(svg).iter(f"{SVG}path")]
    assert paths.count(paths[0]) == 3  # both tasks are on the exponential form
    assert ceiling_figure([ceiling("x", "large")], "large").startswith("<svg")


def test_curves_are_those_of_one_policy() -> None:
    made = [Curve(policy, variant, (2, 4), np.array([0.4, 0.5])) for policy in ("a", "b") for variant in ("mse", "sum")]
    assert sorted(labels(curves_figure(made, "a"))) == ["mse", "sum"]
    assert curves_figure([Curve("a", "mse", (2,), np.array([0.4]))], "a") == ""


def test_every_point_of_the_law_is_a_dot_that_says_which_it_is() -> None:
    cases = [LawCase("titles", "small", variant, 4, 0.5, 0.4, 0.1, 0.05) for variant in ("mse", "sum")]
    svg = law_figure(LawTest({}, cases, {}, {}, 0.0, 0.0, 1, 2), ["sum", "mse"])
    titles = [one.text for one in ElementTree.fromstring(svg).iter(f"{SVG}title")]
    assert titles == [f"titles, small, {variant}, n = 4: 0.40, 0.50" for variant in ("mse", "sum")]
    assert law_figure(LawTest({}, [], {}, {}, 0.0, 0.0, 1, 0), ["sum"]) == ""
