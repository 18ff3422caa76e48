"""bench overhead: the pairs' medians, and a short run of the command on the real policy and the real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes.command import edge_ttp
from fakes.real import spare_measuring

from edge_ttp.lab.bench.overhead import _found, _TimedAnswer


def test_what_is_added_is_the_median_of_the_pairs_differences() -> None:
    def runs(*seconds: float, text: str = "a") -> list[_TimedAnswer]:
        return [_TimedAnswer(one, (text,), 4) for one in seconds]

    found = _found([runs(1, 2, 9), runs(1.1, 2.2, 9.3), runs(1.5, 2.5, 9.5)], [[100, 50], [90, 50]], [0.3, 0.1, 0.2])
    assert found.added_s == pytest.approx(0.2)
    assert found.streamed_s == pytest.approx(0.5)
    assert found.throughput == pytest.approx(0.95)
    assert found.command_s == pytest.approx(0.2)
    assert found.same
    assert not _found([runs(1), runs(1, text="b"), runs(1)], [[1], [1]], [1]).same


@pytest.mark.real
def test_the_command_measures_a_server_that_says_the_same(models_home: Path) -> None:
    spare_measuring(models_home)
    few = ("--pairs", "1", "--rounds", "1", "--commands", "1", "--n", "2", "--tokens", "4", "--json")
    done = edge_ttp("bench", "overhead", *few, env={"EDGE_TTP_HOME": str(models_home)})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["same"] is True
    assert found["pairs"] == found["rounds"] == 1
    assert found["api_s"] > 0
    assert found["server_rate"] > 0
