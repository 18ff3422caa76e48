"""The network learns what is there to learn, its export is the same function, and bad exports are not written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")

from edge_ttp.errors import InvalidInput  # noqa: E402
from edge_ttp.reward.features import FEATURES  # noqa: E402
from edge_ttp.reward.model import HEADS_INPUTS, HEADS_OUTPUTS, EncodedInput, EncodedPool  # noqa: E402
from edge_ttp.reward.salience import SalienceReading  # noqa: E402
from edge_ttp.reward.session import Session  # noqa: E402
from edge_ttp.reward.user_profile import Style, UserProfile  # noqa: E402
from edge_ttp.reward.word_features import WORD_FEATURES, pool_words  # noqa: E402
from edge_ttp.schema import Candidate  # noqa: E402
from edge_ttp_export import rule_choices  # noqa: E402
from edge_ttp_export.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from edge_ttp_export.examples import LabelledPool  # noqa: E402
from edge_ttp_export.export_gates import Gate, GateFailed, check, spearman  # noqa: E402
from edge_ttp_export.losses import difference_loss, differences, offset_loss  # noqa: E402
from edge_ttp_export.minilm import WIDTH  # noqa: E402
from edge_ttp_export.network import COLUMNS, DIMENSION, RewardNetwork  # noqa: E402
from edge_ttp_export.onnx_export import export_heads  # noqa: E402
from edge_ttp_export.quantize import quantize_weights  # noqa: E402
from edge_ttp_export.rule_choices import RuleChoice, resampled_shares, share_of_headroom  # noqa: E402
from edge_ttp_export.selectors import untrained  # noqa: E402
from edge_ttp_export.train import TrainSettings, collate, predict, selection_share, train  # noqa: E402

pytestmark = pytest.mark.export

torch.set_num_threads(1)  # the tensors are small: more threads only wait for each other

SIGNAL = FEATURES.index("input_coverage")


def pool(seed: int, size: int = 8, items: int = 3) -> LabelledPool:
    """A pool whose utility is one feature plus noise, which the untrained start knows nothing of."""
    source = np.random.default_rng(seed)

    def unit(*shape: int) -> np.ndarray:
        values = source.normal(size=(*shape, WIDTH))
        return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)

    written = (frozenset({"text"}),) * items
    profile = UserProfile("test", unit(items), unit(items), (), written, written, Style(2.0, 0.5, 0.0), 0.3)
    table = source.normal(size=(size, len(FEATURES))).astype(np.float32)
    utility = 0.2 + 0.05 * table[:, SIGNAL] + 0.01 * source.normal(size=size)
    drawn = tuple(Candidate(text=f"text {index}", tokens=4, logprob=-8.0) for index in range(size))
    tokens = tuple(("text", str(index)) for index in range(size))
    words = pool_words(
        profile, profile.inputs[0], ("text",), tokens, lambda names: np.zeros((len(names), 2), np.float32)
    )
    similarity = np.full((size, size), 0.5) + 0.5 * np.eye(size)
    return LabelledPool(
        task="made", user_id=f"user {seed % 7}", place=items, part="train", profile=profile,
        source=EncodedInput(unit(), ("text",), SalienceReading(unit(3), {})),
        encoded=EncodedPool(drawn, tokens, unit(size), similarity), table=table, words=words,
        reference=("text",), utility=utility, chrf=utility,
    )  # fmt: skip


SETTINGS = TrainSettings(epochs=40, patience=40, dropout=0.0)


@pytest.mark.parametrize("loss", ["beta-nll", "mse", "bradley-terry", "listwise"])
def test_every_loss_learns_the_signal(loss: str) -> None:
    settings = TrainSettings(**{**vars(SETTINGS), "loss": loss})
    trained = train([pool(seed) for seed in range(120)], [pool(seed) for seed in range(120, 140)], settings, str)
    assert selection_share(trained.network, [pool(seed) for seed in range(140, 170)], seed=1, sizes=(8,)) > 0.8
    assert trained.covariance.shape == (DIMENSION, DIMENSION)
    assert (np.linalg.eigvalsh(trained.covariance) > 0).all()


def test_training_is_reproducible() -> None:
    settings = TrainSettings(**{**vars(SETTINGS), "epochs": 2})
    first, again = (
        train([pool(seed) for seed in range(20)], [pool(seed) for seed in range(20, 26)], settings, str)
        for _ in range(2)
    )
    for one, other in zip(first.network.parameters(), again.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_network_without_salience_does_not_see_it() -> None:
    pools = [pool(seed) for seed in range(26)]
    settings = TrainSettings(**{**vars(SETTINGS), "epochs": 1, "salience": False})
    network = train(pools[:20], pools[20:], settings, str).network
    changed = pool(40)
    changed.words.table[:, WORD_FEATURES.index("affinity")] = 3.0
    changed.words.table[:, WORD_FEATURES.index("salience")] = -3.0
    (one, _, _), (other, _, _) = (predict(network, [(each, range(8))])[0] for each in (pool(40), changed))
    torch.testing.assert_close(one.difference, other.difference, rtol=0, atol=0)


def test_too_few_pools_are_refused() -> None:
    with pytest.raises(InvalidInput, match="too few"):
        train([pool(1)], [pool(2)], SETTINGS, str)


def test_padding_does_not_change_a_pools_heads() -> None:
    network = RewardNetwork().eval()
    small, large = (pool(1, size=4, items=2), range(4)), (pool(2, size=9, items=6), range(9))
    together = predict(network, [small, large])[0][0]
    alone = predict(network, [small])[0][0]
    torch.testing.assert_close(together.difference[0, :4], alone.difference[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(together.phi[0, :4], alone.phi[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(together.offset[0], alone.offset[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("size", "items"), [(1, 1), (2, 64), (33, 5)])
def test_the_exported_heads_are_the_network(size: int, items: int) -> None:
    network = RewardNetwork().eval()
    network.standardize(torch.randn(200, len(COLUMNS)), torch.randn(200, WIDTH))
    with torch.no_grad():
        network.weights.normal_()
    session = Session(
        export_heads(network).SerializeToString(), name="heads", inputs=HEADS_INPUTS, outputs=HEADS_OUTPUTS, threads=1
    )
    batch, _ = collate([(pool(3, size=size, items=items), range(size))])
    with torch.no_grad():
        heads = network(batch)
    arrays = (
        batch.candidates, batch.source, batch.outputs, batch.inputs, batch.history_mask, batch.features, batch.context,
        batch.words, batch.membership,
    )  # fmt: skip
    found = session.run(dict(zip(HEADS_INPUTS, (one[0].numpy() for one in arrays), strict=True)))
    expected = (
        heads.offset[:, None] + heads.difference, heads.log_variance, heads.phi, heads.distance, heads.offset[:, None],
        heads.offset_log_variance[:, None],
    )  # fmt: skip
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other[0].numpy(), atol=1e-4)


def test_beta_nll_with_beta_zero_is_the_gaussian_likelihood() -> None:
    batch, utility = collate([(pool(1), range(8)), (pool(2, size=5), range(5))])
    heads = RewardNetwork().eval()(batch)
    found = difference_loss("beta-nll", 0.0, heads, utility, batch.pool_mask)
    error = differences(utility, batch.pool_mask) - heads.difference
    variance = torch.exp(heads.log_variance)
    by_hand = (0.5 * (error**2 / variance + torch.log(variance)) * batch.pool_mask).sum(1) / batch.pool_mask.sum(1)
    torch.testing.assert_close(found, by_hand)
    assert offset_loss(heads, utility, batch.pool_mask).shape == (2,)


def test_the_offsets_noise_is_as_large_as_its_errors_on_tune_pools() -> None:
    tune = [pool(seed) for seed in range(20, 30)]
    network = train([pool(seed) for seed in range(20)], tune, SETTINGS, str).network
    ((heads, utility, mask),) = predict(network, [(one, range(one.size)) for one in tune])
    error = (utility * mask).sum(1) / mask.sum(1) - heads.offset
    assert float((error**2 / torch.exp(heads.offset_log_variance)).mean()) == pytest.approx(1, rel=1e-3)


def test_without_text_terms_the_vectors_change_nothing() -> None:
    settings = TrainSettings(**{**vars(SETTINGS), "epochs": 1, "text_terms": False})
    network = train([pool(seed) for seed in range(20)], [pool(seed) for seed in range(20, 26)], settings, str).network
    batch, _ = collate([(pool(30), range(8))])
    found = network(batch).difference
    batch.candidates, batch.outputs = torch.flip(batch.candidates, [1]), torch.flip(batch.outputs, [2])
    torch.testing.assert_close(network(batch).difference, found)


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    trained = train([pool(seed) for seed in range(20)], [pool(seed) for seed in range(20, 26)], SETTINGS, str)
    save_checkpoint(tmp_path, trained, {"files": []})
    found = load_checkpoint(tmp_path)
    members = [(pool(50), range(8))]
    torch.testing.assert_close(
        predict(found.network, members)[0][0].difference, predict(trained.network, members)[0][0].difference
    )
    np.testing.assert_allclose(found.covariance, trained.covariance)
    assert found.made["files"] == []
    with pytest.raises(InvalidInput, match="no trained network"):
        load_checkpoint(tmp_path / "nowhere")


def test_a_missed_gate_stops_the_export_with_its_number() -> None:
    check([Gate("good", 0.5, 1.0), Gate("also good", 0.99, 0.98, at_least=True)])
    with pytest.raises(GateFailed, match=r"rank is 0\.9, allowed is 0\.98"):
        check([Gate("rank", 0.9, 0.98, at_least=True)])


def test_rank_correlation_counts_ties_by_mean_rank() -> None:
    assert spearman(np.array([1.0, 2, 3]), np.array([10.0, 20, 30])) == pytest.approx(1)
    assert spearman(np.array([1.0, 2, 3]), np.array([3.0, 2, 1])) == pytest.approx(-1)
    assert spearman(np.array([1.0, 1, 2]), np.array([1.0, 2, 3])) == pytest.approx(0.8660254)
    assert spearman(np.array([1.0, 1]), np.array([1.0, 2])) == 0


def test_a_share_is_a_ratio_of_sums_and_its_resamples_keep_users_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [RuleChoice("a", 1, 0.5, 0.4, 0.6), RuleChoice("a", 2, 0.4, 0.4, 0.4), RuleChoice("b", 1, 0.1, 0.2, 0.4)]
    assert share_of_headroom({"t": made}) == pytest.approx((0.1 + 0 - 0.1) / (0.2 + 0 + 0.2))
    by_query = {round(float(value), 6) for value in resampled_shares({"t": made})}
    assert {0.5, 0.0, -0.5} < by_query  # two users are too few: queries are drawn instead, and more mixtures come up
    monkeypatch.setattr(rule_choices, "FEW_USERS", 2)
    assert {round(float(value), 6) for value in resampled_shares({"t": made})} == {0.5, 0.0, -0.5}


def test_untrained_rules_see_only_the_candidates_named() -> None:
    one = pool(1)
    rows = [2, 5, 7]
    for name, rank in untrained().items():
        scores = rank(one, rows)
        assert scores.shape == (3,), name
        assert np.isfinite(scores).all(), name


def test_eight_bit_weights_stay_within_half_a_step() -> None:
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    source = np.random.default_rng(1)
    weights = source.normal(size=(96, 64)).astype(np.float32) * np.logspace(-2, 1, 64, dtype=np.float32)
    table = source.normal(size=(100, 96)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["rows"]), helper.make_node("MatMul", ["rows", "w"], ["out"])],
        "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 64])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    small = quantize_weights(model)
    assert len(small.SerializeToString()) < 0.4 * len(model.SerializeToString())
    ids = np.arange(100)
    found = [
        Session(one.SerializeToString(), name="g", inputs=("ids",), outputs=("out",), threads=1).run({"ids": ids})[0]
        for one in (model, small)
    ]
    assert np.abs(found[0] - found[1]).max(axis=0).max() < 0.05 * np.abs(found[0]).max()
    for column in range(64):
        assert np.corrcoef(found[0][:, column], found[1][:, column])[0, 1] > 0.999
    assert onnx.checker.check_model(small) is None
