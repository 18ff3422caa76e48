"""The quality page: every way with its difference, and how the files were made."""

from __future__ import annotations

from math import nan
from pathlib import Path

from edge_ttp.lab.bench.ladders import Difference
from edge_ttp.lab.bench.quality import OWN_TEXTS, REFERENCE, JudgedPools, QualityRow, utility_rows, voice_rows
from edge_ttp.lab.bench.quality_page import page, told
from edge_ttp.lab.bench.scored_pools import TUNE

FACTS = {"policy": "p", "reward": "r", "part": "tune", "made": ["32 queries"]}
NONE = Difference(nan, nan, nan, nan)


def row(group: str, way: str, utility: float, over: float) -> QualityRow:
    return QualityRow(group, way, 9, 3, utility, Difference(over, over - 0.01, over + 0.01, 0.005), NONE)


def test_a_difference_is_told_with_its_interval_where_there_is_one() -> None:
    assert told(Difference(0.0214, -0.004, 0.0433, 0.01)) == "+0.021 (-0.004 to +0.043)"
    assert told(Difference(-1.25, -2, -0.5, 0.3), 1) == "-1.2 (-2.0 to -0.5)"
    assert told(Difference(0.5, nan, nan, nan)) == "+0.500"
    assert told(NONE) == "-"


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


def test_the_page_has_every_way_and_says_how_it_was_made(made: tuple[Path, Path], judged: JudgedPools) -> None:
    text = page(utility_rows(judged.found), voice_rows(judged, made[0], TUNE), FACTS)
    for words in ("| TTP 4 | 32 | 4 |", "| top recalled output |", OWN_TEXTS, "- 32 queries", "## Voice"):
        assert words in text
