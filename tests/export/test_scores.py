"""The score file holds what the networks say, and nothing that names a person or a text."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")

from repository import SHIPPED_REWARD  # noqa: E402

from edge_ttp.errors import InvalidInput  # noqa: E402
from edge_ttp.lab.bench.scored_pools import read  # noqa: E402
from edge_ttp.lab.diagnosis.line_source import LineSource  # noqa: E402
from edge_ttp.lab.reproduction.ladder import SHIPPED  # noqa: E402
from edge_ttp.lab.reproduction.score_file import ScoreFile, read_scores, write_scores  # noqa: E402
from edge_ttp.reward.model import RewardModel  # noqa: E402
from edge_ttp_export.candidate_rows import write_rows  # noqa: E402
from edge_ttp_export.checkpoint import Checkpoint  # noqa: E402
from edge_ttp_export.examples import LabelledPool  # noqa: E402
from edge_ttp_export.network import DIMENSION, RewardNetwork  # noqa: E402
from edge_ttp_export.pool_file import PoolFile, read_pool_file  # noqa: E402
from edge_ttp_export.scores import BY_DEFAULT, SUM, hashed, run_scores, score_set  # noqa: E402
from edge_ttp_export.selectors import untrained  # noqa: E402
from edge_ttp_export.text_files import file_sha256  # noqa: E402
from edge_ttp_export.train import predict  # noqa: E402
from edge_ttp_export.user_split import part_of  # noqa: E402
from tests.export.test_train import pool  # noqa: E402

pytestmark = pytest.mark.export


@pytest.fixture
def pools() -> list[LabelledPool]:
    made = [pool(seed, size=8) for seed in range(20)]
    return [replace(one, utility=one.utility.clip(0, 1), part=part_of(one.user_id)) for one in made]


def network(loss: str) -> Checkpoint:
    torch.manual_seed(0)
    made = RewardNetwork().eval()
    with torch.no_grad():
        made.weights.normal_()
    return Checkpoint(made, 0.01 * np.eye(DIMENSION), 2.0, 0.1, {"settings": {"loss": loss}})


def test_scores_are_those_of_the_networks_and_the_rule(pools: list[LabelledPool]) -> None:
    networks = {"plain": network("mse"), "sure": network("beta-nll")}
    found = score_set(pools, "small", networks, b"salt")
    assert (found.task, found.policy, found.sizes) == ("made", "small", (2, 4, 8))
    heads, _, _ = predict(networks["plain"].network, [(one, range(8)) for one in pools])[0]
    expected = heads.offset[:, None].numpy() + heads.difference.numpy()
    np.testing.assert_allclose(found.variants["plain"].score, expected, atol=1e-5)
    assert found.variants["plain"].sd is None
    sure = found.variants["sure"]
    assert sure.sd is not None
    assert sure.epistemic is not None
    assert (sure.sd > sure.epistemic).all()
    for name, scored in found.variants.items():
        best = [one.utility[row.argmax()] for one, row in zip(pools, scored.score, strict=True)]
        np.testing.assert_allclose(scored.picked[:, -1], best, err_msg=name)
        assert (scored.picked <= np.array([one.utility.max() for one in pools])[:, None] + 1e-9).all()
    rule = untrained()["sum"]
    np.testing.assert_allclose(found.variants[SUM].score[3], rule(pools[3], range(8)))
    assert found.part.tolist() == [("train", "tune", "report").index(one.part) for one in pools]


def test_a_finished_model_is_scored_by_its_mean_and_by_the_default_rule(
    tmp_path: Path, pool_file: tuple[Path, Path]
) -> None:
    data, out = pool_file
    reward = RewardModel.load(SHIPPED_REWARD, threads=1)
    facts = run_scores(
        [out],
        [data],
        None,
        {},
        tmp_path / "scores.npz",
        reward=reward,
        policies={"ab": "small"},
        queries=9,
        report=print,
    )
    assert facts["variants"] == [SUM, SHIPPED, BY_DEFAULT]
    file = read_scores(tmp_path / "scores.npz")
    assert file.made[SHIPPED]["reward"] == file.made[BY_DEFAULT]["reward"] == reward.fingerprint
    (found,) = file.sets
    assert (found.task, found.policy, found.sizes) == ("notes", "small", (2,))
    assert found.variants[SHIPPED].sd is not None
    assert found.variants[BY_DEFAULT].sd is None
    best = found.utility[0, found.variants[SHIPPED].score[0].argmax()]
    assert found.variants[SHIPPED].picked[0, 0] == pytest.approx(best, abs=1e-4)
    with pytest.raises(InvalidInput, match="nothing reads the texts"):
        run_scores([out], [data], None, {}, tmp_path / "more.npz", policies={}, queries=9, report=print)


def test_two_files_of_one_task_are_one_set(tmp_path: Path, pool_file: tuple[Path, Path]) -> None:
    data, out = pool_file
    (tmp_path / "more").mkdir()
    texts, pools = tmp_path / "more" / "notes.jsonl", tmp_path / "more" / "notes.jsonl.zst"
    texts.write_text(data.read_text().replace('"user_id": "a"', '"user_id": "b"'))
    _, (record,) = read_pool_file(out)
    with PoolFile.append(pools, {"task": "notes", "data": file_sha256(texts), "model": "ab" * 32}) as file:
        file.write({**record, "user_id": "b"})
    reward = RewardModel.load(SHIPPED_REWARD, threads=1)
    run_scores(
        [out, pools], [data, texts], None, {}, tmp_path / "all.npz", reward=reward, policies={}, queries=9, report=print
    )
    (found,) = read_scores(tmp_path / "all.npz").sets
    assert len(np.unique(found.user)) == 2


def test_ids_are_hashed_with_the_salt_and_no_text_is_left(tmp_path: Path, pools: list[LabelledPool]) -> None:
    found = score_set(pools, "small", {}, b"salt")
    assert len(np.unique(found.user)) == len({one.user_id for one in pools})
    assert not np.isin(found.user, hashed([one.user_id for one in pools], b"")).any()
    write_scores(tmp_path / "scores.npz", ScoreFile((found,), {SUM: {"loss": "none"}}))
    with np.load(tmp_path / "scores.npz") as archive:
        held = b"".join(archive[name].tobytes() for name in archive.files)
    assert b"user 1" not in held
    assert b"text" not in held
    assert len(read_scores(tmp_path / "scores.npz").sets[0]) == 20


def test_pools_of_several_sizes_are_no_set(pools: list[LabelledPool]) -> None:
    with pytest.raises(InvalidInput, match="one size"):
        score_set([*pools, pool(99, size=5)], "small", {}, b"salt")


@pytest.fixture
def pool_file(tmp_path: Path) -> tuple[Path, Path]:
    data, out = tmp_path / "notes.jsonl", tmp_path / "notes.jsonl.zst"
    items = [{"user_id": "a", "order": order, "input": f"in {order}", "output": "out"} for order in range(3)]
    data.write_text("".join(json.dumps(item) + "\n" for item in items))
    candidates = [{"text": f"text {place}", "tokens": 3, "logprob": -4.5, "finish_reason": "stop"} for place in (0, 1)]
    with PoolFile.append(out, {"task": "notes", "data": file_sha256(data), "model": "ab" * 32}) as file:
        file.write({"user_id": "a", "order": 2, "candidates": candidates, "utility": [0.25, 0.5], "chrf": [1.0, 2.0]})
    return data, out


def test_rows_are_what_diagnose_reads(tmp_path: Path, pool_file: tuple[Path, Path]) -> None:
    data, out = pool_file
    assert write_rows([out], [data], tmp_path / "rows.jsonl.zst", None) == 2
    lines = [json.loads(line) for _, line, _ in LineSource.of(str(tmp_path / "rows.jsonl.zst")).lines() if line]
    assert lines[0] == {"user_id": "a", "query_id": "notes/2", "order": 2, "input": "in 2", "text": "text 0",
                        "tokens": 3, "logprob": -4.5, "utility": 0.25}  # fmt: skip
    assert "input" not in lines[1]


def test_scored_rows_are_what_the_planners_benchmark_reads(tmp_path: Path, pool_file: tuple[Path, Path]) -> None:
    data, out = pool_file
    to = tmp_path / "scored.jsonl.zst"
    assert write_rows([out], [data], to, None, reward=SHIPPED_REWARD, threads=1) == 2
    lines = [json.loads(line) for _, line, _ in LineSource.of(str(to)).lines() if line]
    assert {"user_id", "query_id", "policy", "utility", "score", "variance", "epistemic", "tokens"} <= set(lines[0])
    assert all(line["variance"] > 0 and "text" not in line for line in lines)
    (pool,) = read([str(to)], tenths=range(10), least=2)
    assert (pool.user, pool.size, pool.tokens.tolist()) == ("a", 2, [3, 3])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda data, out, to: write_rows([out], [], to, None), "not given"),
        (lambda data, out, to: write_rows([out], [data], to, "train"), "no such candidate"),
    ],
)
def test_rows_that_cannot_be_are_refused(
    tmp_path: Path, pool_file: tuple[Path, Path], call: Callable[[Path, Path, Path], int], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        call(*pool_file, tmp_path / "rows")
