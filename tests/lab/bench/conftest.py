"""What several of these tests want: less of everything random; users of known styles; pools of three of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from repository import SHIPPED_REWARD

from edge_ttp.lab.bench import adaptive_n
from edge_ttp.lab.bench.drawing import DrawnText
from edge_ttp.lab.bench.halves import Halved, halved_queries
from edge_ttp.lab.bench.quality_pools import QualityRecipe
from edge_ttp.lab.bench.resumable import Resumable
from edge_ttp.lab.bench.scored_pools import TUNE
from edge_ttp.reward.model import RewardModel
from tests.lab.bench.test_halves import write
from tests.lab.bench.test_voice_score import STYLES, SUBJECTS, texts

N = 16


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less of everything random: these tests ask for signs, not for digits."""
    monkeypatch.setattr(adaptive_n, "ORDERS", 3)
    monkeypatch.setattr(adaptive_n, "TIMED_ORDERS", 2)
    monkeypatch.setattr(adaptive_n, "RESAMPLES", 50)


@pytest.fixture(scope="session")
def halves() -> dict[str, tuple[list[str], list[str]]]:
    """Two halves of what four users of four styles wrote, each on a subject of their own."""
    made = {}
    for place, (style, subject) in enumerate(zip(STYLES, SUBJECTS, strict=True)):
        written = texts(style, subject, 48, place)
        made[style] = (written[0::2], written[1::2])
    return made


@pytest.fixture(scope="session")
def reward() -> RewardModel:
    """The shipped reward model."""
    return RewardModel.load(SHIPPED_REWARD, threads=1)


def line(one: Halved, n: int = N) -> dict[str, object]:
    """Greedy says half of the truth, some of those drawn say all of it; strangers' are theirs."""
    written = one.query.item.output
    half = " ".join(written.split()[: len(written.split()) // 2])

    def said(text: str, temperature: float) -> list[object]:
        return DrawnText(text, 9, -9.0, "stop", temperature).as_list()

    drawn = [said(f"{half} number {place}", 0.8) for place in range(n - 4)] + [said(written, 0.8)] * 4
    theirs = [said(f"{one.strangers[0].history[place % 4].output}", 0.8) for place in range(n)]
    return {
        "own": [said(half, 0.0), *drawn, said(half, 0.4)],
        "none": [said("something else", 0.0), said("something else", 0.8)],
        "stranger": [said(theirs[0][0], 0.0), *theirs],  # type: ignore[arg-type]
        "recalled": one.query.history[-1].output,
        "by": 0,
        "seconds": {"own": 1.0},
    }


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A corpus and a file of pools of three of its users."""
    return pools_of(tmp_path_factory.mktemp("corpus"), users=3)


def pools_of(folder: Path, *, users: int, n: int = N) -> tuple[Path, Path]:
    """A corpus and a file of pools of some of its users, as `bench quality` would have drawn them."""
    pools = write(folder) / "pools"
    with Resumable.append(pools, QualityRecipe("0" * 64, "chat", n=n).header()) as state:
        for one in halved_queries(folder, ["notes"], tenths=TUNE, users=users):
            state.write(one.query.key, line(one, n))
    return folder, pools
