"""The learned verifier: what its numbers count, how its map is learned and kept, and that the shipped one is frozen."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.voice_learned import (
    WEIGHTS,
    WORDS,
    LearnedVerifier,
    StyleMap,
    fit,
    function_words_of,
    shipped,
    style_numbers,
)
from tests.lab.bench.test_voice_score import STYLES, SUBJECTS, texts

FROZEN = "10b73f7abc592b5debfd6e7ae6df693addcfd91ecf815ea95fc68652223435a6"
"""SHA-256 of the learned verifier, frozen before anything was trained for voice: a new one is a new yardstick."""


def test_words_that_most_users_use_come_first_however_often_each_does() -> None:
    corpus = {"notes": {"ann": ["the the boat", "The sail"], "bob": ["a boat"]}, "mails": {"cyd": ["the A"]}}
    assert function_words_of(corpus) == ("a", "boat", "the", "sail")  # 2, 2, 2 users and 1; ties by the alphabet
    many = {"notes": {f"user {place}": [f"word{'x' * place}"] for place in range(WORDS + 5)}}
    assert len(function_words_of(many)) == WORDS


def test_rates_are_square_roots_of_shares_of_words() -> None:
    plain, loud = style_numbers(["the boat sails"], ("the", "a")), style_numbers(["THE boat sails!!"], ("the", "a"))
    assert plain[:2] == pytest.approx([np.sqrt(1 / 3), 0])
    assert loud[:2] == pytest.approx(plain[:2])  # case does not matter for words
    assert loud.shape == plain.shape
    changed = np.flatnonzero(~np.isclose(plain, loud))
    assert 0 < len(changed) < 15  # marks, cases, beginnings and ends alone
    assert np.isfinite(style_numbers([], ("the",))).all()
    assert np.isfinite(style_numbers(["  "], ("the",))).all()


def test_content_words_are_not_in_the_numbers() -> None:
    words = ("the",)
    assert style_numbers(["the boats sail."], words) == pytest.approx(
        style_numbers(["the trees grow."], words), abs=0.2
    )
    np.testing.assert_array_equal(style_numbers(["the boat fell."], words), style_numbers(["the tree grew."], words))


def test_a_bag_is_like_its_writer() -> None:
    earlier = {style: texts(style, SUBJECTS[place], 12, place) for place, style in enumerate(STYLES)}
    verifier = LearnedVerifier(earlier)
    for style in STYLES:
        margins = verifier.margins(texts(style, SUBJECTS[0], 6, 50), list(STYLES))
        assert list(STYLES)[int(np.argmax(margins))] == style
        assert np.abs(margins).max() <= 1 + 1e-9


def test_the_learned_verifier_is_frozen() -> None:
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() == FROZEN
    assert shipped().map.shape == (len(shipped().scale), 48)


def test_a_style_map_is_learned_in_closed_form_and_kept(tmp_path: Path) -> None:
    corpus = {
        f"task {task}": {
            f"user {user}": texts(list(STYLES)[user % 4], SUBJECTS[(user + task) % 4], 16, 100 * task + user)
            for user in range(28)
        }
        for task in range(2)
    }
    found, again = fit(corpus), fit(corpus)
    assert (found.map == again.map).all()
    found.save(tmp_path / "map.npz")
    kept = StyleMap.load(tmp_path / "map.npz")
    bag = texts("loud", SUBJECTS[0], 4, 7)
    centre = style_numbers(texts("plain", SUBJECTS[1], 4, 8), found.words)
    assert kept.vector(bag, centre) == pytest.approx(found.vector(bag, centre), rel=1e-3, abs=1e-4)
    with pytest.raises(InvalidInput, match="too few"):
        fit({"task": {"user": texts("loud", SUBJECTS[0], 16, 7)}})
    (tmp_path / "bad.npz").write_bytes(b"PK")
    with pytest.raises(InvalidInput, match="no style map"):
        StyleMap.load(tmp_path / "bad.npz")
