"""The shipped reward model: what its scores promise, and what bad folders and bad input get."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from repository import SHIPPED_REWARD

from edge_ttp.errors import InvalidInput, ModelUnavailable
from edge_ttp.reward.model import RewardModel, Scores
from edge_ttp.reward.posterior import Weights
from edge_ttp.reward.utility import agreement_matrix
from edge_ttp.schema import Candidate
from tests.reward.conftest import history_of

from .edited import edit

pytestmark = pytest.mark.real


def drawn(text: str, tokens: int, logprob: float) -> Candidate:
    return Candidate(text=text, tokens=tokens, logprob=logprob)


POOL = [
    drawn("Ten quiet trails near Oslo", 8, -14.0),
    drawn("The best hikes around Oslo this autumn", 9, -16.5),
    drawn("A guide to hiking", 5, -6.0),
    drawn("Stock markets fall on weak data", 8, -30.0),
]
INPUT = "A round-up of the ten quietest hiking trails near Oslo, for autumn weekends."
HIKER = ["Five quiet trails near Bergen", "Three calm lakes near Tromsø", "Seven quiet huts near Oslo"]


def assert_sound(scores: Scores, count: int) -> None:
    for values in (scores.mean, scores.aleatoric, scores.epistemic, scores.variance):
        assert values.shape == (count,)
        assert np.isfinite(values).all()
    assert (scores.aleatoric > 0).all()
    assert (scores.epistemic >= 0).all()
    np.testing.assert_allclose(scores.variance, scores.aleatoric + scores.epistemic)
    assert scores.similarity.shape == (count, count)
    assert scores.features.shape[0] == count
    assert 0 <= scores.offset <= 1
    assert scores.offset_variance > 0


def test_scores_follow_their_contract(model: RewardModel) -> None:
    scores = model.score(model.profile(history_of(HIKER)), INPUT, POOL)
    assert_sound(scores, len(POOL))
    np.testing.assert_allclose(scores.similarity, agreement_matrix([one.text for one in POOL]))
    difference = scores.features @ model.weights_mean
    np.testing.assert_allclose(scores.mean, scores.offset + difference, atol=1e-5)
    np.testing.assert_allclose(scores.features.mean(axis=0), 0, atol=1e-5)
    assert scores.mean.argmin() == 3  # the candidate about something else


def test_scores_are_deterministic_and_follow_their_candidates(model: RewardModel) -> None:
    profile = model.profile(history_of(HIKER))
    first, again = (model.score(profile, INPUT, POOL) for _ in range(2))
    np.testing.assert_array_equal(first.mean, again.mean)
    order = [2, 0, 3, 1]
    turned = model.score(profile, INPUT, [POOL[index] for index in order])
    np.testing.assert_allclose(turned.mean, first.mean[order], atol=1e-6)
    np.testing.assert_allclose(turned.variance, first.variance[order], atol=1e-6)


def test_a_users_own_weights_change_the_mean_and_the_epistemic_variance(model: RewardModel) -> None:
    profile = model.profile(history_of(HIKER))
    stock = model.score(profile, INPUT, POOL)
    same = model.score(profile, INPUT, POOL, model.stock)
    np.testing.assert_array_equal(stock.mean, same.mean)
    np.testing.assert_array_equal(stock.variance, same.variance)
    step = np.linspace(-0.1, 0.1, len(model.weights_mean))
    own = model.score(profile, INPUT, POOL, Weights(model.weights_mean + step, model.weights_covariance / 4))
    np.testing.assert_allclose(own.mean, stock.mean + stock.features @ step, atol=1e-9)
    np.testing.assert_array_equal(own.aleatoric, stock.aleatoric)
    assert (own.epistemic < stock.epistemic).all()


def test_it_knows_what_it_has_never_seen(model: RewardModel) -> None:
    assert model.score(model.profile(history_of(HIKER)), INPUT, POOL).familiar
    sentence = "Photosynthesis is the process by which plants turn light into sugar while carbon dioxide is taken up."
    long = [drawn(" ".join([sentence] * count), 20 * count, -60.0 * count) for count in (8, 9, 10, 12, 15)]
    writer = model.profile(history_of(HIKER))
    assert not model.score(writer, "Explain how photosynthesis works.", long).familiar
    assert not model.score(model.profile([]), "Explain how photosynthesis works.", long).familiar


def test_a_new_user_is_scored(model: RewardModel) -> None:
    profile = model.profile([])
    assert profile.items == 0
    assert_sound(model.score(profile, INPUT, POOL), len(POOL))


def test_the_history_changes_the_scores(model: RewardModel) -> None:
    own = model.score(model.profile(history_of(HIKER)), INPUT, POOL)
    other = model.score(model.profile(history_of(["Dollar drops", "Shares fall on weak data"])), INPUT, POOL)
    assert own.mean[0] - own.mean[3] > other.mean[0] - other.mean[3]


@pytest.mark.parametrize(
    "pool",
    [
        [drawn("", 0, 0.0)],
        [drawn("", 1, -1.0), drawn("word", 1, -2.0)],
        [drawn("same", 1, -1.0)] * 16,
        [drawn("one", 1, -3.0)],
        [drawn("!!!", 3, -9.0), drawn("...", 3, -9.0)],
        [drawn("long " * 2000, 2000, -5000.0), drawn("short", 1, -1.0)],
        [drawn("nan", 1, float("nan")), drawn("inf", 1, float("-inf")), drawn("huge", 1, -1e308)],
        [drawn("no tokens", 0, -5.0), drawn("lone \ud800 surrogate", 4, -5.0), drawn("nul \x00 byte", 4, -5.0)],
        [drawn("日本語の見出し", 7, -9.0), drawn("ещё один заголовок", 7, -9.0), drawn("🙂", 2, -9.0)],
    ],
)
def test_odd_candidates_get_finite_scores(model: RewardModel, pool: list[Candidate]) -> None:
    assert_sound(model.score(model.profile(history_of(HIKER)), INPUT, pool), len(pool))
    assert_sound(model.score(model.profile([]), "", pool), len(pool))


def test_256_candidates_are_scored_at_once(model: RewardModel) -> None:
    pool = [drawn(f"Trail number {index} near Oslo", 6, -10.0 - index) for index in range(256)]
    assert_sound(model.score(model.profile(history_of(HIKER)), INPUT, pool), 256)


def test_a_candidate_without_words_has_utility_zero(model: RewardModel) -> None:
    scores = model.score(model.profile(history_of(HIKER)), INPUT, [*POOL, drawn(" ?! ", 3, -3.0)])
    assert scores.mean[-1] == 0
    assert scores.epistemic[-1] == 0


def test_identical_candidates_get_identical_scores(model: RewardModel) -> None:
    scores = model.score(model.profile(history_of(HIKER)), INPUT, [*POOL, POOL[0]])
    assert scores.mean[0] == pytest.approx(scores.mean[-1], abs=1e-9)


def test_a_part_of_an_encoded_pool_scores_like_that_pool_alone(model: RewardModel) -> None:
    profile = model.profile(history_of(HIKER))
    source = model.prepare(INPUT)
    encoded = model.encode(POOL)
    part = model.score(profile, source, encoded.take([1, 3]))
    alone = model.score(profile, INPUT, [POOL[1], POOL[3]])
    np.testing.assert_allclose(part.mean, alone.mean, atol=1e-6)
    np.testing.assert_allclose(part.similarity, alone.similarity)


def test_threads_get_the_same_scores(model: RewardModel) -> None:
    profile = model.profile(history_of(HIKER))
    expected = model.score(profile, INPUT, POOL).mean
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: model.score(profile, INPUT, POOL).mean, range(16)))
    for one in found:
        np.testing.assert_array_equal(one, expected)


def test_no_candidates_and_a_foreign_profile_are_refused(model: RewardModel) -> None:
    profile = model.profile([])
    with pytest.raises(InvalidInput, match="no candidate"):
        model.score(profile, INPUT, [])
    foreign = type(profile)(**{**vars(profile), "encoder": "another"})
    with pytest.raises(InvalidInput, match="another reward model"):
        model.score(foreign, INPUT, POOL)


def test_the_epistemic_variance_is_the_last_layers_quadratic_form(model: RewardModel) -> None:
    scores = model.score(model.profile(history_of(HIKER)), INPUT, POOL)
    form = np.einsum("nd,de,ne->n", scores.features, model.weights_covariance, scores.features)
    assert (scores.epistemic >= form - 1e-9).all()


# Folders


def replace_file(folder: Path, name: str, data: bytes) -> None:
    """Another file under a config that vouches for it: what a hostile model would bring."""
    (folder / name).write_bytes(data)
    path = folder / "reward.json"
    config = json.loads(path.read_text())
    entry = {"name": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    if name in ("heads.onnx", "salience.onnx"):
        config[name.removesuffix(".onnx")] = entry
    else:
        config["encoder"]["graph" if name == "encoder.onnx" else "tokenizer"] = entry
    path.write_text(json.dumps(config))


def test_a_copied_model_loads_and_has_the_same_fingerprint(folder: Path, model: RewardModel) -> None:
    assert RewardModel.load(folder).fingerprint == model.fingerprint


def test_a_missing_folder_is_one_line_with_a_cure(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no reward model in") as raised:
        RewardModel.load(tmp_path / "nowhere")
    assert raised.value.cure
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["encoder.onnx", "salience.onnx", "heads.onnx", "tokenizer.json"])
def test_missing_truncated_and_altered_files_are_told_apart(folder: Path, name: str) -> None:
    path = folder / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(ModelUnavailable, match="truncated or altered"):
        RewardModel.load(folder)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ModelUnavailable, match="sha256 differs"):
        RewardModel.load(folder)
    path.unlink()
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        RewardModel.load(folder)


@pytest.mark.parametrize("name", ["encoder.onnx", "salience.onnx", "heads.onnx", "tokenizer.json"])
@pytest.mark.parametrize("data", [b"x", b"\x08\x01" * 50, b"{}", b"\xff" * 1000])
def test_garbage_that_the_config_vouches_for_is_refused(folder: Path, name: str, data: bytes) -> None:
    replace_file(folder, name, data)
    with pytest.raises(ModelUnavailable) as raised:
        RewardModel.load(folder)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["heads.onnx", "salience.onnx"])
def test_an_encoder_in_anothers_place_is_refused(folder: Path, name: str) -> None:
    replace_file(folder, name, (SHIPPED_REWARD / "encoder.onnx").read_bytes())
    with pytest.raises(ModelUnavailable, match="inputs or outputs"):
        RewardModel.load(folder)


def test_another_width_than_announced_is_refused(folder: Path) -> None:
    encoder = json.loads((folder / "reward.json").read_text())["encoder"]
    edit(folder, encoder={**encoder, "width": 128})
    with pytest.raises(ModelUnavailable):
        RewardModel.load(folder)
