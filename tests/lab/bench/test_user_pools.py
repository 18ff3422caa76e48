"""Pool files as evidence: each pool scored with its user's history then, newest first; files that fit no texts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.user_pools import load
from edge_ttp.reward.model import RewardModel
from edge_ttp.reward.utility import utility
from edge_ttp.schema import Candidate, HistoryItem

ITEMS = [
    {"user_id": user, "order": order, "input": f"asked {order}", "output": f"fern heath number {order} of {user}"}
    for user in ("ann", "bob")
    for order in (3, 1, 2)
]
DRAWN = [{"text": text, "tokens": 3, "logprob": -2.0} for text in ("fern heath number 2", "nothing of it", "")]


class Judge:
    """Stands for a reward model: remembers what it was shown, and says a tenth more of each further candidate."""

    def __init__(self) -> None:
        self.shown: list[tuple[list[str], str]] = []

    def profile(self, history: Sequence[HistoryItem], _: object) -> list[HistoryItem]:
        return list(history)

    def score(self, profile: list[HistoryItem], given: str, candidates: Sequence[Candidate]) -> Any:
        self.shown.append(([item.input for item in profile], given))
        features = np.arange(2.0 * len(candidates)).reshape(-1, 2) / 3
        return type("Scores", (), {"features": features, "aleatoric": np.full(len(candidates), 0.1)})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "notes.jsonl").write_text("\n".join(map(json.dumps, ITEMS)), encoding="utf-8")
    return folder


def pools(data: Path, *records: dict[str, Any] | str, digest: str | None = None) -> Path:
    digest = digest or hashlib.sha256((data / "notes.jsonl").read_bytes()).hexdigest()
    lines = [{"task": "notes", "data": digest}, *records]
    path = data.parent / "pools.jsonl"
    texts = (one if isinstance(one, str) else json.dumps(one) for one in lines)
    path.write_text("\n".join(texts) + "\n\n", encoding="utf-8")
    return path


def record(user: str, order: int, **fields: Any) -> dict[str, Any]:
    return {"user_id": user, "order": order, "candidates": DRAWN, **fields}


def read(path: Path, data: Path, judge: Judge | None = None) -> Any:
    return load([path], data, cast(RewardModel, judge or Judge()), lambda done: None)


def test_a_pool_is_scored_with_what_its_user_had_written_before(data: Path) -> None:
    judge = Judge()
    path = pools(data, record("ann", 2), record("ann", 3), record("bob", 1), record("bob", 2, part="train"))
    users = read(path, data, judge)
    assert {key: [pool.place for pool in found] for key, found in users.items()} == {
        ("notes", "ann"): [2, 1],
        ("notes", "bob"): [0],
    }
    assert judge.shown == [(["asked 1"], "asked 2"), (["asked 1", "asked 2"], "asked 3"), ([], "asked 1")]
    evidence = users["notes", "ann"][1].evidence
    assert evidence.kind == "written"
    np.testing.assert_allclose(evidence.utility, [utility(one["text"], "fern heath number 2 of ann") for one in DRAWN])
    assert evidence.utility[0] > evidence.utility[1] > evidence.utility[2] == 0
    np.testing.assert_array_equal(evidence.features, np.float32(np.arange(6).reshape(3, 2) / 3))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([record("ann", 9)], "hold no item 9 of ann"),
        ([record("cyd", 1)], "hold no item 1 of cyd"),
        (["{"], "line 2 is not JSON"),
        (["[1]"], "line 2 is no object"),
    ],
)
def test_what_fits_no_text_is_named(data: Path, lines: list[Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        read(pools(data, *lines), data)


def test_other_files_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="was drawn from are not in"):
        read(pools(data, digest="0" * 64), data)
    (tmp_path / "other").write_text('{"results": "x"}\n')
    (tmp_path / "nothing").write_text("")
    for name in ("other", "nothing"):
        with pytest.raises(InvalidInput, match="holds no pools"):
            read(tmp_path / name, data)
