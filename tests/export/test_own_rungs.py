"""Networks and judgments of one user alone: trained on their own pools, scored on later ones, written as rungs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")

from edge_ttp.errors import InvalidInput  # noqa: E402
from edge_ttp.lab.reproduction.ladder import ARMS, ONLINE, OWN, POPULATION, PRIOR, STOCK, ladder  # noqa: E402
from edge_ttp.lab.reproduction.score_file import read_scores  # noqa: E402
from edge_ttp.reward.posterior import Evidence, Weights  # noqa: E402
from edge_ttp_export import own_rungs  # noqa: E402
from edge_ttp_export.own_rungs import LEARNED, LonePool, LoneUser, learn_alone, read_own, write_own  # noqa: E402
from edge_ttp_export.rungs import SIZE, LadderPool  # noqa: E402
from tests.export.test_rungs import pool  # noqa: E402

pytestmark = pytest.mark.export

torch.set_num_threads(1)


class Reward:
    """A last layer of the vectors' first three numbers; the stock model looks at the wrong one."""

    fingerprint = "f"
    stock = Weights(np.array([0.0, 0.02, 0.0]), 0.001 * np.eye(3))

    def score(self, profile: LadderPool, source: object, part: list[int], weights: Weights) -> SimpleNamespace:
        return SimpleNamespace(mean=features(profile)[part] @ weights.mean)


def features(one: LadderPool) -> np.ndarray:
    found = one.vectors[:, :3].astype(np.float64)
    return np.asarray(found - found.mean(axis=0))


def user(number: int) -> LoneUser:
    """Of 26 pools; what stands for the encoded pool only knows how to take rows."""
    rows = SimpleNamespace(take=list)
    pools = []
    for place in range(LEARNED[-1] + 6):
        one = pool(1000 * number + place)
        noise = np.full(SIZE, 0.0004)
        pools.append(LonePool(one, one, None, rows, Evidence("written", features(one), noise, one.utility)))  # type: ignore[arg-type]
    return LoneUser(f"user {number}", tuple(pools[: LEARNED[-1]]), tuple(pools[LEARNED[-1] :]))


def test_more_pools_of_ones_own_teach_more_and_every_kind_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_rungs, "STEPS", 30)
    monkeypatch.setattr(own_rungs, "KINDS", ("edit", "prefer"))
    users = [user(number) for number in range(1, 9)]
    others = [pool(seed) for seed in range(20)]
    said: list[str] = []
    for _ in range(2):
        learn_alone(users, others, tmp_path / "work", Reward(), seeds=1, report=said.append)  # type: ignore[arg-type]
    assert len(said) == len(set(said)), "nothing is trained twice"
    write_own(users, tmp_path / "work", tmp_path / "own.npz", Reward(), seeds=1)  # type: ignore[arg-type]
    file = read_scores(tmp_path / "own.npz")
    assert sum(len(one) for one in file.sets) == 8 * 6
    rows = {(row.rung, row.arm): row for row in ladder(file, resamples=20) if row.selection == "mean"}
    assert {rung for rung, _ in rows} == {*OWN, POPULATION, ONLINE, PRIOR}
    assert {arm for rung, arm in rows if rung == OWN[0]} == set(ARMS)
    assert rows[OWN[-1], "mse"].share.value > rows[OWN[0], "mse"].share.value
    assert rows[POPULATION, "mse"].share.value > 0.3
    assert abs(rows[PRIOR, STOCK].share.value) < 0.3
    assert rows[ONLINE, "edit"].share.value > 0.5, "what is told exactly is learned without a prior too"
    assert rows[ONLINE, "edit"].over_mse.low > 0


def test_texts_and_enough_pools_are_asked_for(tmp_path: Path) -> None:
    from edge_ttp_export.pool_file import PoolFile

    texts = tmp_path / "titles.jsonl"
    texts.write_text('{"user_id": "a", "order": 0, "input": "x", "output": "y"}\n', encoding="utf-8")
    with PoolFile.append(tmp_path / "pools.jsonl.zst", {"task": "titles", "data": "0" * 64}):
        pass
    with pytest.raises(InvalidInput, match="texts that"):
        read_own([tmp_path / "pools.jsonl.zst"], [texts], None, print)  # type: ignore[arg-type]
    with PoolFile.append(tmp_path / "more.jsonl.zst", {"task": "titles", "data": own_rungs.file_sha256(texts)}):
        pass
    with pytest.raises(InvalidInput, match="no user has 26 pools"):
        read_own([tmp_path / "more.jsonl.zst"], [texts], None, print)  # type: ignore[arg-type]
