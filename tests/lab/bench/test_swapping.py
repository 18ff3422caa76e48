"""The swap test: whose history is in the prompt, whose the judge knows, and what a loss had to be to be seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.resumable import Resumable
from edge_ttp.lab.bench.scored_pools import TUNE
from edge_ttp.lab.bench.swapping import OWN, STRANGER, measure
from edge_ttp.reward.model import RewardModel
from tests.lab.bench.conftest import pools_of


@pytest.mark.slow
def test_a_swap_of_histories_is_told_with_what_it_could_see(
    tmp_path: Path, reward: RewardModel, models_home: Path
) -> None:
    folder, pools = pools_of(tmp_path, users=3, n=6)
    rows = {(row.prompt, row.judge): row for row in measure(reward, folder, pools, TUNE, advance=lambda done: None)}
    assert set(rows) == {(prompt, judge) for prompt in (OWN, STRANGER) for judge in (OWN, STRANGER)}
    assert rows[OWN, OWN].lost.mean == 0
    assert rows[STRANGER, OWN].lost.mean > 0.1
    assert rows[STRANGER, OWN].voice_lost.mean > 1
    assert rows[STRANGER, OWN].detects == pytest.approx(2.8 * rows[STRANGER, OWN].lost.error)


def test_files_of_other_measurements_are_refused(tmp_path: Path, reward: RewardModel) -> None:
    with Resumable.append(tmp_path / "other", {"results": "ways"}):
        pass
    with pytest.raises(InvalidInput, match="holds ways"):
        measure(reward, tmp_path, tmp_path / "other", TUNE, advance=print)
