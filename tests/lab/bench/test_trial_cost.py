"""What a trial costs is measured on real trials."""

from __future__ import annotations

from pathlib import Path

from policy import tiny

from edge_ttp.lab.bench.trial_cost import measure
from edge_ttp.paths import locate
from edge_ttp.registry import Registry


def test_a_trial_costs_once(home: Path, tmp_path: Path) -> None:
    located = Registry(locate(home)).locate(tiny.language_model(tmp_path / "tiny.gguf"))
    done: list[float] = []
    (cost,) = measure([located], rounds=2, advance=done.append)
    assert (cost.name, cost.kind, cost.size) == ("tiny", "policy", located.path.stat().st_size)
    assert done == [1, 2]
    assert cost.trial_s > 10 * cost.known_s > 0  # a process against a look into a file
    assert cost.hash_s > 0
