"""The shipped salience network: what it says of the words of candidates, and for whom."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ttp.reward.model import RewardModel
from edge_ttp.reward.salience import COLUMNS, MOST_PIECES, SCALE, piece_rows, spelling
from edge_ttp.schema import HistoryItem

pytestmark = pytest.mark.real

TEXT = (
    "We present a new method for parsing sentences with neural networks. In our experiments it is faster than earlier "
    "parsers, and we show that parsing benefits from more data."
)
WORDS = ("pars", "neural", "network", "earlier", "we", "banana")
SPELLED = ["parsing neural networks earlier we banana"]


def numbers(model: RewardModel, history: list[HistoryItem]) -> dict[str, np.ndarray]:
    profile, vector = model.profile(history), model.encoder.encode([TEXT])[0]
    found = model.salience.numbers(model.salience.read(TEXT), profile, vector, WORDS, SPELLED)
    assert found.shape == (len(WORDS), len(COLUMNS))
    return dict(zip(WORDS, found, strict=True))


def test_what_a_text_is_about_is_more_salient_than_what_it_says_in_passing(model: RewardModel) -> None:
    found = numbers(model, [])
    assert min(found["pars"][1], found["neural"][1]) > max(found["earlier"][1], found["we"][1])
    assert found["banana"][1] == 0
    assert found["banana"].sum() < min(found[word].sum() for word in ("pars", "neural", "network"))
    assert all(abs(value) < 20 / SCALE for both in found.values() for value in both)


def test_affinity_is_for_a_user_and_salience_is_not_only(model: RewardModel) -> None:
    cook = [HistoryItem(user_id="ann", input="dinner", output="Banana bread and other recipes") for _ in range(5)]
    assert numbers(model, cook)["banana"][0] > numbers(model, [])["banana"][0]
    assert numbers(model, cook)["pars"][1] == numbers(model, [])["pars"][1]


def test_words_without_pieces_and_a_text_without_words(model: RewardModel) -> None:
    pieces, places = piece_rows(model.encoder, {"": "", "pars": "parsing"}, {"pars": [3]})
    assert pieces.shape == places.shape == (2, MOST_PIECES)
    assert not pieces[0].any()
    assert (places[0] == -1).all()
    assert places[1].tolist() == [3, -1, -1, -1]
    assert spelling(model.encoder, "") == ({}, {})
    profile = model.profile([])
    found = model.salience.numbers(model.salience.read(""), profile, model.encoder.encode([""])[0], [""], [""])
    assert np.isfinite(found).all()


def test_places_beyond_what_the_encoder_reads_are_left_out(model: RewardModel) -> None:
    spelled, places = spelling(model.encoder, "word " * 400 + "last")
    assert "last" in spelled
    assert "last" not in places
    assert len(places["word"]) == MOST_PIECES
