"""The measurement of adaptation: on simulated users whose own weights are known, and from files by the command."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from edge_ttp.cli.main import run
from edge_ttp.lab.bench import adapting
from edge_ttp.lab.bench.user_pools import UserPool
from edge_ttp.reward.posterior import Evidence, Floats, Weights

SIZE = 8
STOCK = Weights(np.linspace(-0.1, 0.3, SIZE), 0.02 * np.eye(SIZE))


def simulated(users: int, pools: int, *, deviation: float = 0.2) -> dict[tuple[str, str], list[UserPool]]:
    rng = np.random.default_rng(3)
    found: dict[tuple[str, str], list[UserPool]] = {}
    for user in range(users):
        own: Floats = STOCK.mean + rng.normal(0, deviation, SIZE)
        for place in reversed(range(pools)):
            features = rng.normal(0, 0.3, (16, SIZE))
            features -= features.mean(axis=0)
            utility = 0.3 + features @ own + rng.normal(0, 0.05, 16)
            evidence = Evidence("written", features, np.full(16, 0.0025), utility)
            found.setdefault(("task", f"user {user}"), []).append(UserPool("task", f"user {user}", place, evidence))
    return found


def test_the_newest_pools_are_tested_and_the_earlier_ones_learned_from() -> None:
    users = simulated(2, 30)
    for one in adapting.split(users):
        pools = [pool.evidence for pool in users["task", one.user]]
        assert (list(one.latest), list(one.earlier)) == (pools[:10], pools[10:])
    assert [len(one.latest) for size in (7, 12, 24, 26) for one in adapting.split(simulated(1, size))] == [2, 4, 4, 6]
    assert [len(one.latest) for one in adapting.split(simulated(1, 50), 40)] == [10]
    assert adapting.split(simulated(1, 2)) == []


def test_the_share_rises_with_a_users_own_items_and_not_with_anothers() -> None:
    tested = adapting.split(simulated(12, 28))
    rows = {row.items: row for row in adapting.curve(STOCK, tested) if row.task == adapting.ALL}
    assert set(rows) == {0, 2, 4, 8, 20}
    assert rows[0].share == rows[0].stock
    assert rows[0].gain == 0
    assert rows[20].gain > rows[4].gain > 0
    assert rows[20].gain_low > 0
    assert rows[20].low < rows[20].share < rows[20].high <= 1
    [stranger, _] = adapting.others(STOCK, tested, 20)
    assert stranger.gain < rows[20].gain / 3


def test_what_carries_over_from_pool_to_pool_tells_whether_users_differ() -> None:
    [differ] = adapting.carry_over(STOCK, simulated(12, 20))
    assert differ["low"] > differ["other"]
    assert differ["pairs"] == 12 * 190
    [alike] = adapting.carry_over(STOCK, simulated(12, 20, deviation=0.0))
    assert alike["low"] < 0.01
    assert alike["same"] < differ["same"] / 10
    assert adapting.carry_over(STOCK, simulated(1, 20)) == []


def test_where_nobody_differs_nothing_is_lost() -> None:
    rows = adapting.curve(STOCK, adapting.split(simulated(12, 28, deviation=0.0)))
    assert all(row.gain > -0.03 for row in rows)


def test_wine_is_described_and_not_counted() -> None:
    users = {("wine_review", name): pools for (_, name), pools in simulated(2, 12).items()}
    rows = adapting.curve(STOCK, adapting.split(users))
    assert {row.task for row in rows} == {"wine_review"}


@pytest.mark.slow
def test_failures_fall_where_users_differ() -> None:
    tested = adapting.split(simulated(12, 28, deviation=0.4))
    found = adapting.failures(STOCK, tested, 20)
    assert found["adapted"]["mean_rho"] > found["stock"]["mean_rho"]
    assert found["adapted"]["negative"] < found["stock"]["negative"]


@pytest.mark.real
def test_the_command_reads_pool_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = tmp_path / "data" / "titles.jsonl"
    texts.parent.mkdir()
    rows = [
        {"user_id": f"u{user}", "order": order, "input": f"input {order}", "output": f"Ten quiet trails {order}"}
        for user in range(2)
        for order in range(6)
    ]
    texts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pools = tmp_path / "pools.jsonl"
    candidates = [{"text": text, "tokens": 4, "logprob": -3.0} for text in ("Ten quiet trails", "Ten", "Stocks fall")]
    header = {"format": 1, "task": "titles", "data": hashlib.sha256(texts.read_bytes()).hexdigest()}
    records = [{**row, "candidates": candidates} for row in rows if row["order"]]
    records += [{**row, "user_id": "seen in training", "part": "train", "candidates": candidates} for row in rows]
    pools.write_text("".join(json.dumps(line) + "\n" for line in [header, *records]))
    options = ["--pools", str(pools), "--data", str(texts.parent), "--items", "30", "--users", "2"]
    assert run(["bench", "adapt", *options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(row["task"], row["items"], row["users"]) for row in found["rows"] if row["task"] == "all"] == [
        ("all", 0, 2),
        ("all", 2, 2),
    ]
    assert found["other_user"]["items"] == 2
    assert found["update_ms"] > 0
    assert found["recall_p95_ms"] > 0
    assert {point["round"] for point in found["feedback"]} == {0, 1, 2}
    assert run(["bench", "adapt", *options]) == 0
    assert "| all | 2 | 2 |" in capsys.readouterr().out
    other = tmp_path / "other"
    other.mkdir()
    assert run(["bench", "adapt", "--pools", str(pools), "--data", str(other)]) == 2
    assert "was drawn from are not in" in capsys.readouterr().err
    assert run(["bench", "adapt", "--pools", str(texts), "--data", str(texts.parent)]) == 2
