"""The quality page: every way with its difference, and how the files were made."""

from __future__ import annotations

from math import nan

from edge_ttp.lab.bench.ladders import Difference
from edge_ttp.lab.bench.quality import OWN_TEXTS, REFERENCE, QualityRow, VoiceQuality
from edge_ttp.lab.bench.quality_page import page, with_interval
from edge_ttp.lab.bench.voice_scale import VERIFIERS

FACTS = {"policy": "p", "reward": "r", "part": "tune", "made": ["32 queries"]}
NONE = Difference(nan, nan, nan, nan)
"""No difference can be told."""


def row(group: str, way: str, utility: float, over: float) -> QualityRow:
    return QualityRow(group, way, 9, 3, utility, Difference(over, 0.005, over - 0.01, over + 0.01), NONE)


def test_a_difference_is_told_with_its_interval_where_there_is_one() -> None:
    assert with_interval(Difference(0.0214, 0.01, -0.004, 0.0433)) == "+0.021 (-0.004 to +0.043)"
    assert with_interval(Difference(-1.25, 0.3, -2, -0.5), 1) == "-1.2 (-2.0 to -0.5)"
    assert with_interval(Difference(0.5, nan, nan, nan)) == "+0.500"
    assert with_interval(NONE) == "-"


def test_the_best_way_comes_first_and_tasks_stand_side_by_side() -> None:
    rows = [
        row("all", "greedy", 0.2, -0.1), row("all", REFERENCE, 0.3, 0.0), row("all", "best", 0.4, 0.1),
        row("mails", "greedy", 0.25, -0.1), row("notes", "greedy", 0.15, -0.1), row("notes", "best", 0.35, 0.1),
    ]  # fmt: skip
    text = page(rows, [], FACTS)
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in lines[2:5]] == ["| best", f"| {REFERENCE}", "| greedy"]
    assert lines[2] == "| best | 9 | 3 | 0.400 | +0.100 (+0.090 to +0.110) | - |"
    assert lines[5:] == [
        "| way | mails (9) | notes (9) |",
        "| --- | --- | --- |",
        "| greedy | 0.250 | 0.150 |",
        "| best | - | 0.350 |",
    ]
    assert "## Voice" not in text


def test_voices_are_told_with_the_users_own_texts_first() -> None:
    def voice(way: str, value: float) -> VoiceQuality:
        over = {name: Difference(value - 1, 0.1, value - 1.2, value - 0.8) for name in ("n-grams", "learned")}
        return VoiceQuality("all", way, 4, 8.0, dict.fromkeys(VERIFIERS, value), 0.25, over)

    text = page([], [voice("greedy", 0.5), voice(OWN_TEXTS, 2.0), voice(REFERENCE, 1.0)], FACTS)
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]] == [OWN_TEXTS, REFERENCE, "greedy"]
    assert lines[4].startswith("| greedy | 4 | 8 | +0.50 | ")
    assert lines[4].endswith("| 0.25 | -0.50 (-0.70 to -0.30) | -0.50 (-0.70 to -0.30) |")
    assert text.endswith("- 32 queries\n")
