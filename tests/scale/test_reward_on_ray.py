"""Rows, trainings and evaluations are the same on a cluster, in processes and here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import torch
import zstandard
from repository import SHIPPED_REWARD

from edge_ttp.errors import InvalidInput
from edge_ttp.reward.model import RewardModel
from edge_ttp_export import train_run
from edge_ttp_export.candidate_rows import write_rows
from edge_ttp_export.checkpoint import load_checkpoint
from edge_ttp_export.evaluate_run import evaluate_files
from edge_ttp_export.losses import Loss
from edge_ttp_export.places.named import place_at
from edge_ttp_export.pool_shards import FINGERPRINTS, append_pools, fingerprint, read_pools
from edge_ttp_export.text_files import file_sha256, read_items
from edge_ttp_export.train import TrainSettings
from edge_ttp_export.train_run import Training, run_trainings
from edge_ttp_export.user_split import part_of
from tests.export.test_train import pool

pytestmark = pytest.mark.scale

Written = Callable[..., Path]
HEADER = {"model": "ab" * 32, "n": 4}


@pytest.fixture
def drawn(written: Written, tmp_path: Path) -> tuple[Path, Path]:
    """Texts, and pools of them whose candidates are other texts of the same user."""
    data = written(30, 5)
    out = tmp_path / "pools.jsonl.zst"
    _draw(data, out)
    return data, out


def _draw(data: Path, out: Path, most: int = 1000) -> None:
    chance = np.random.default_rng(3)
    with append_pools(out, {"task": "notes", "data": file_sha256(data), **HEADER}) as file:
        for user, items in list(read_items(data).items())[:most]:
            texts = [one.output for one in items[:4]]
            worth = [round(float(one), 3) for one in chance.random(4)]
            candidates = [{"text": text, "tokens": 7, "logprob": -5.0, "finish_reason": "stop"} for text in texts]
            told = {"part": part_of(user), "examples": 2, "candidates": candidates, "utility": worth, "chrf": worth}
            if (user, 4) not in file.keys:
                file.write({"user_id": user, "order": 4, **told})


def lines(path: Path) -> list[dict[str, Any]]:
    data = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
    return [json.loads(line) for line in data.splitlines()]


@pytest.mark.real
@pytest.mark.parametrize("reward", [None, SHIPPED_REWARD], ids=["texts", "scores"])
def test_rows_are_the_same_wherever(
    cluster: Any, drawn: tuple[Path, Path], tmp_path: Path, reward: Path | None
) -> None:
    data, pools = drawn
    here, there, columns = tmp_path / "here.jsonl.zst", tmp_path / "there.jsonl.zst", tmp_path / "rows.parquet"
    assert write_rows([pools], [data], here, None, reward=reward, threads=1) == 120
    with place_at(f"ray:{cluster.address}") as place:
        assert write_rows([pools], [data], there, None, reward=reward, threads=1, place=place) == 120
        assert write_rows([pools], [data], columns, None, reward=reward, threads=1, place=place) == 120
    assert there.read_bytes() == here.read_bytes()
    found = [
        {name: value for name, value in row.items() if value is not None}
        for row in pyarrow.parquet.read_table(columns).to_pylist()
    ]
    assert found == lines(here)


def test_pools_in_parquet_are_those_of_the_file(
    drawn: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_ttp_export.pool_shards.SHARD", 8)
    data, pools = drawn
    folder = tmp_path / "pools.parquet"
    _draw(data, folder, most=19)
    assert sorted(one.name for one in folder.iterdir()) == [
        FINGERPRINTS, "pools-00000.parquet", "pools-00001.parquet", "pools-00002.parquet"
    ]  # fmt: skip
    before = fingerprint(folder)
    _draw(data, folder)
    assert read_pools(folder) == read_pools(pools)
    assert fingerprint(folder) != before
    assert json.loads((folder / FINGERPRINTS).read_text())["made"]["data"] == file_sha256(data)
    texts = data.with_suffix(".parquet")
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist([json.loads(line) for line in data.read_text().splitlines()]), texts
    )
    assert read_items(texts) == read_items(data)
    shard = folder / "pools-00001.parquet"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(InvalidInput, match="fingerprint"):
        read_pools(folder)
    with pytest.raises(InvalidInput, match="fingerprint"):
        _draw(data, folder)


def test_an_interrupted_shard_goes_on(
    drawn: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_ttp_export.pool_shards.SHARD", 8)
    _, pools = drawn
    folder = tmp_path / "pools.parquet"
    header, records = read_pools(pools)
    made = {name: value for name, value in header.items() if name != "format"}

    def stop_after(count: int) -> None:
        with append_pools(folder, made) as file:
            for record in records:
                if (record["user_id"], record["order"]) not in file.keys:
                    file.write(record)
                    if len(file.keys) == count:
                        raise KeyboardInterrupt

    for count in (3, 8, 13):
        with pytest.raises(KeyboardInterrupt):
            stop_after(count)
        assert len(read_pools(folder)[1]) == count
    filling = folder / "pools-00001.jsonl.zst"
    filling.write_bytes(filling.read_bytes()[:-5])  # torn by a power cut
    stop_after(1000)
    assert read_pools(folder)[1] == records
    with pytest.raises(InvalidInput, match="another n"), append_pools(folder, {**made, "n": 5}):
        pass


class Reader:
    """Stands for the folders of networks that read texts: the pools are made already."""

    def graphs(self) -> Reader:
        return self

    def runtime(self) -> None:
        return None

    def fingerprints(self) -> dict[str, str]:
        return {"encoder_sha256": "00"}


class Task:
    def __init__(self, name: str) -> None:
        self.name = name


def made_pools(*_: Any) -> tuple[list[Any], list[Task], list[dict[str, Any]]]:
    pools = [replace(pool(seed), task="made" if seed % 2 else "other") for seed in range(44)]
    tune = [replace(pool(seed), part="tune", task="made" if seed % 2 else "other") for seed in range(80, 92)]
    return [*pools, *tune], [Task("made"), Task("other")], [{"model": HEADER["model"], "file": "made"}]


def training(loss: Loss, seed: int, without: str | None = None) -> Training:
    return Training(TrainSettings(loss=loss, seed=seed, epochs=2, dropout=0.0), without)


def test_trainings_are_the_same_wherever_and_go_on(
    cluster: Any, drawn: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_run, "load_pools", made_pools)
    torch.set_num_threads(1)
    reader: Any = Reader()
    wanted = [training("beta-nll", 1), training("mse", 2), training("beta-nll", 1, "other")]
    here = run_trainings([], [], reader, tmp_path / "here", wanted, report=str, threads=1)
    with place_at(f"ray:{cluster.address}") as place:
        run_trainings([], [], reader, tmp_path / "there", wanted[:2], report=str, place=place, threads=1)
        there = run_trainings([], [], reader, tmp_path / "there", wanted, report=str, place=place, threads=1)
        assert list(here) == ["beta-nll-seed1", "mse-seed2", "beta-nll-seed1-without-other"]
        for name, facts in here.items():
            assert {**there[name], **facts} == there[name]
            networks = [tmp_path / side / name / "network.safetensors" for side in ("here", "there")]
            assert networks[0].read_bytes() == networks[1].read_bytes()
        with pytest.raises(InvalidInput, match="another way"):
            run_trainings([], [], reader, tmp_path / "there", [training("mse", 2), replace(
                wanted[0], settings=replace(wanted[0].settings, epochs=4))], report=str, threads=1)  # fmt: skip
        with pytest.raises(InvalidInput, match="no file has the task"):
            run_trainings([], [], reader, tmp_path / "x", [training("mse", 2, "absent")], report=str)
        folders = [tmp_path / "there" / name for name in here]
        assert load_checkpoint(folders[2]).made["without"] == "other"
        data, pools = drawn
        model = RewardModel.load(SHIPPED_REWARD, threads=1)

        def evaluated(**where: Any) -> dict[str, Any]:
            given: dict[str, Any] = {"trained": folders[:2], "left_out": {"notes": folders[2]}, "threads": 1}
            return evaluate_files(model, [pools], [data], str, **given, **where)

        one = evaluated()
        assert {"task left out", "mse", "probabilistic", "model"} <= {row["selector"] for row in one["rows"]}
        other = evaluated(place=place, folder=SHIPPED_REWARD)
        assert json.dumps(other, default=float) == json.dumps(one, default=float)
