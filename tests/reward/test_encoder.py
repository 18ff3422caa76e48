"""The shipped text encoder and the sessions it runs in."""

from __future__ import annotations

import numpy as np
import pytest
from repository import SHIPPED_REWARD

from edge_ttp.reward.config import read_checked, read_config
from edge_ttp.reward.encoder import TextEncoder


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    config, _ = read_config(SHIPPED_REWARD)
    return TextEncoder(
        read_checked(SHIPPED_REWARD, config.encoder.graph),
        read_checked(SHIPPED_REWARD, config.encoder.tokenizer),
        name="shipped",
        fingerprint="f",
        width=config.encoder.width,
        max_tokens=config.encoder.max_tokens,
        threads=1,
    )


@pytest.mark.real
def test_vectors_have_unit_length_and_keep_their_order(encoder: TextEncoder) -> None:
    texts = ["short", "a much longer text " * 20, "", "middle sized text of some words", "🙂", "\x00"]
    vectors = encoder.encode(texts)
    assert vectors.shape == (len(texts), encoder.width)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_allclose(encoder.encode([text])[0], vector, atol=1e-5)


@pytest.mark.real
def test_texts_of_like_meaning_are_nearer(encoder: TextEncoder) -> None:
    cat, kitten, market = encoder.encode(["The cat sleeps", "A kitten is asleep", "Stock markets fell sharply"])
    assert cat @ kitten > cat @ market


@pytest.mark.real
def test_no_texts_give_no_vectors(encoder: TextEncoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.width)


@pytest.mark.real
def test_a_huge_text_is_cut(encoder: TextEncoder) -> None:
    start = "word " * 500
    np.testing.assert_allclose(encoder.encode([start + "x" * 10_000_000]), encoder.encode([start]), atol=1e-6)


@pytest.mark.real
def test_more_texts_than_one_run_holds(encoder: TextEncoder) -> None:
    texts = [f"text number {index}" for index in range(150)]
    vectors = encoder.encode(texts)
    np.testing.assert_allclose(vectors[149], encoder.encode([texts[149]])[0], atol=1e-5)
