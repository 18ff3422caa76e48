"""Forms of the shipped encoder: the same weights, ranked alike, and the model written anew only if they are."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from repository import SHIPPED_REWARD

torch = pytest.importorskip("torch", reason="needs the export extra")

import onnx  # noqa: E402

from edge_ttp.errors import ModelUnavailable  # noqa: E402
from edge_ttp.lab.bench.corpus import Query  # noqa: E402
from edge_ttp.reward.config import read_checked, read_config  # noqa: E402
from edge_ttp.reward.graph_bounds import refuse_unbounded  # noqa: E402
from edge_ttp.reward.model import RewardModel  # noqa: E402
from edge_ttp.schema import Candidate, HistoryItem  # noqa: E402
from edge_ttp_export import encoder_forms  # noqa: E402
from edge_ttp_export.encoder_forms import FLOAT, SHIPPED, WEIGHTS, JudgedQuery, compare, forms  # noqa: E402
from edge_ttp_export.export_gates import Gate, GateFailed  # noqa: E402
from edge_ttp_export.optimum_graphs import FUSED_DOMAINS  # noqa: E402
from edge_ttp_export.requantize import requantize  # noqa: E402

pytestmark = pytest.mark.export

torch.set_num_threads(1)

WORDS = ["river", "market", "evening", "council", "festival", "winter", "bridge", "library", "concert", "harvest"]


def judged(seed: int) -> JudgedQuery:
    """A query with twelve candidates of some of its words."""
    rng = np.random.default_rng(seed)
    items = [
        HistoryItem(
            id=number + 1,
            user_id="ann",
            input=" ".join(rng.choice(WORDS, 8)),
            output=" ".join(rng.choice(WORDS, 4)),
            created_at=datetime(2024, 1, 1 + number, tzinfo=UTC),
        )
        for number in range(5)
    ]
    drawn = [
        Candidate(text=" ".join(rng.choice(WORDS, int(rng.integers(2, 7)))), tokens=6, logprob=-float(rng.random()))
        for _ in range(12)
    ]
    return JudgedQuery(Query("notes", items[-1], 4, tuple(items[:-1])), drawn)


def test_every_form_is_made_and_what_is_shipped_ranks_like_the_float_graph() -> None:
    found = {row.name: row for row in compare(
        SHIPPED_REWARD, [judged(seed) for seed in range(3)], threads=1, rounds=1, report=lambda line: None
    )}  # fmt: skip
    assert len(found) == 5 + 3 * 3
    assert found[FLOAT].spearman == pytest.approx(1)
    assert found[WEIGHTS].spearman > 0.999
    assert found[SHIPPED].spearman > 0.97
    assert found[SHIPPED].alone < 1e-5  # a vector does not depend on the texts beside it
    assert found["dynamic INT8, avx512_vnni"].alone > 1e-4  # with one scale for the batch it does
    assert found[SHIPPED].megabytes < 0.6 * found[FLOAT].megabytes  # tables are in 8 bits in both
    for row in found.values():
        assert row.load_ms > 0
        assert row.score_ms > 0


def test_fused_operators_are_onnxruntimes_own_and_the_runtime_refuses_them() -> None:
    config, _ = read_config(SHIPPED_REWARD)
    encoder = onnx.load_from_string(read_checked(SHIPPED_REWARD, config.encoder.graph))
    made = forms(encoder, config.encoder.width, ["a text"])
    fused = next(one for one in made if one.name == "fused, float").graph
    assert {"Attention", "BiasGelu", "SkipLayerNormalization"} <= {node.op_type for node in fused.graph.node}
    with pytest.raises(ModelUnavailable, match="com"):
        refuse_unbounded(fused.SerializeToString(), "encoder.onnx")
    refuse_unbounded(fused.SerializeToString(), "encoder.onnx", FUSED_DOMAINS)


def test_a_model_written_anew_has_the_same_weights_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passing = [Gate("rank", 0.99, 0.98, at_least=True)]
    monkeypatch.setattr(encoder_forms, "ranking_gates", lambda *said: passing)
    pools = [judged(seed) for seed in range(2)]
    gates = requantize(SHIPPED_REWARD, pools, tmp_path, threads=1, report=lambda line: None)
    assert gates == passing
    model = RewardModel.load(tmp_path / "reward-minilm-1", threads=1)
    shipped = RewardModel.load(SHIPPED_REWARD, threads=1)
    np.testing.assert_allclose(model.encoder.encode(WORDS), shipped.encoder.encode(WORDS), atol=1e-6)
    card = (tmp_path / "reward-minilm-1" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert card.count("## The encoder's form") == 1
    assert "| rank | 0.99 | >= 0.98 |" in card
    assert "in whole numbers" in card
    assert (tmp_path / "reward-minilm-1.toml").is_file()


def test_a_missed_gate_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_forms, "ranking_gates", lambda *said: [Gate("rank", 0.9, 0.98, at_least=True)])
    with pytest.raises(GateFailed, match=r"rank is 0\.9"):
        requantize(SHIPPED_REWARD, [judged(1)], tmp_path, threads=1, report=lambda line: None)
    assert list(tmp_path.iterdir()) == []
