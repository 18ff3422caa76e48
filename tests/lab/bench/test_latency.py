"""What a person waits for: the parts add up, rounds are paired, and the real ways say where the time went."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edge_ttp.cli.bench_rivals import ground_of
from edge_ttp.lab.bench import latency
from edge_ttp.lab.bench.latency import PARTS, WAYS, waits
from edge_ttp.lab.bench.tasks import sample_tasks
from edge_ttp.schema import Timings


def test_parts_are_those_of_the_request_and_what_is_left() -> None:
    timings = Timings(recall_s=0.1, prefill_s=0.2, decode_s=0.3, score_s=0.05, select_s=0.01, store_s=0.02, total_s=0.7)
    parts = latency._split(1.0, timings, start=0.15, load=0.05)
    assert set(parts) == {*PARTS, "whole"}
    assert sum(parts[part] for part in PARTS) == pytest.approx(1.0)
    assert parts["rest"] == pytest.approx(0.12)


def test_ratios_are_taken_within_a_round() -> None:
    flat = dict.fromkeys(PARTS, 0.0)
    seen = {
        "cold process": [{**flat, "whole": 1.0}, {**flat, "whole": 4.0}, {**flat, "whole": 2.0}],
        "warm process": [{**flat, "whole": 0.5}, {**flat, "whole": 1.0}, {**flat, "whole": 1.0}],
        "warm server": [],
    }
    cold, warm = latency._rows(seen)
    assert (cold.of_cold, warm.of_cold, warm.seconds, warm.rounds) == (1.0, 0.5, 1.0, 3)


@pytest.mark.slow
def test_all_three_ways_answer_and_only_a_cold_process_loads(models_home: Path) -> None:
    ground = ground_of(None, 2, 4, 2)
    rows = waits(ground, sample_tasks(1), n=2, tokens=4, rounds=1, advance=lambda _: None, cancel=threading.Event())
    assert [row.way for row in rows] == list(WAYS)
    cold, warm, served = rows
    assert cold.parts["load"] > 0
    assert warm.parts["load"] == warm.parts["start"] == served.parts["load"] == 0
    assert all(row.parts["draw"] > 0 and row.parts["score"] > 0 for row in rows)
