"""The network learns what is there to learn, its export is the same function, and bad exports are not written."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")

from edge_ttp.errors import InvalidInput  # noqa: E402
from edge_ttp.reward.features import FEATURES  # noqa: E402
from edge_ttp.reward.model import EncodedInput, EncodedPool  # noqa: E402
from edge_ttp.reward.salience import SalienceReading  # noqa: E402
from edge_ttp.reward.user_profile import Style, UserProfile  # noqa: E402
from edge_ttp.reward.word_features import WORD_FEATURES, pool_words  # noqa: E402
from edge_ttp.schema import Candidate  # noqa: E402
from edge_ttp_export.examples import LabelledPool  # noqa: E402
from edge_ttp_export.minilm import WIDTH  # noqa: E402
from edge_ttp_export.network import DIMENSION  # noqa: E402
from edge_ttp_export.train import TrainSettings, _halves, predict, selection_share, train  # noqa: E402

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


def test_the_offsets_noise_is_as_large_as_its_errors_on_tune_pools() -> None:
    tune = [pool(seed) for seed in range(20, 30)]
    network = train([pool(seed) for seed in range(20)], tune, SETTINGS, str).network
    _, fitting = _halves(tune)
    ((heads, utility, mask),) = predict(network, [(one, range(one.size)) for one in fitting])
    error = (utility * mask).sum(1) / mask.sum(1) - heads.offset
    assert float((error**2 / torch.exp(heads.offset_log_variance)).mean()) == pytest.approx(1, rel=1e-3)


def test_a_network_is_stopped_by_other_users_than_its_variances_are_fitted_on() -> None:
    made = [pool(seed) for seed in range(40)]
    stopping, fitting = _halves(made)
    assert {one.user_id for one in stopping} & {one.user_id for one in fitting} == set()
    assert len(stopping) + len(fitting) == len(made)
    alone = [one for one in made if one.user_id == made[0].user_id]
    assert _halves(alone) == (alone, alone)
