from __future__ import annotations

import numpy as np
import pytest

from edge_ttp.lab.bench.voice_score import Verifier, function_words, masked, rhythm, shared_words, surface

SUBJECTS = (
    "boats rivers harbour sails",
    "bread ovens butter flour",
    "trains tickets stations rails",
    "roses bees hedges soil",
)
STYLES = {
    "plain": lambda words: f"I think the {words[0]} and the {words[1]} are fine. Thank you.",
    "loud": lambda words: f"THE {words[0].upper()} and the {words[1]}!!! wow, thank you!!!",
    "small": lambda words: f"the {words[0]} & the {words[1]}... thx :)",
    "formal": lambda words: f"Dear all, the {words[0]}, as well as the {words[1]}, will do; kind regards, Jo",
}


def texts(style: str, subject: str, count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [STYLES[style](list(rng.permutation(subject.split()))) for _ in range(count)]


@pytest.fixture
def corpus() -> dict[str, list[str]]:
    return {
        style: texts(style, subject, 24, place)
        for place, (style, subject) in enumerate(zip(STYLES, SUBJECTS, strict=True))
    }


def test_content_becomes_shapes_and_everything_else_stays(corpus: dict[str, list[str]]) -> None:
    kept = shared_words(corpus)
    assert {"the", "and"} <= kept
    assert "boats" not in kept
    assert masked("The Boats, in 2026!!! thx :)", kept) == "The Xxxxx, xx 999!!! xxx :)"


def test_each_part_of_a_voice_sees_that_part_alone() -> None:
    kept = {"the", "and"}
    text, louder = "The boats and sails. Fine!", "the BOATS and sails... fine"
    assert surface(text, kept) == "Xx x x x. Xx!"
    assert surface("Ships", kept) == surface("Harbours", kept) != surface("ships", kept)
    assert function_words(text, kept) == function_words(louder, kept) == "the _ and _ _"
    assert rhythm(text, kept) == rhythm(text.upper(), kept) == "3 5 3 5 | 4 | #5"
    assert rhythm("Boats.", kept) == rhythm("Ships.", kept) != rhythm("Harbours.", kept)


def test_own_texts_on_other_subjects_still_sound_like_their_user(corpus: dict[str, list[str]]) -> None:
    verifier = Verifier(corpus)
    others = [user for user in verifier.users if user != "loud"]
    elsewhere = texts("loud", SUBJECTS[3], 8, 99)
    assert verifier.score(elsewhere, "loud", others) > 0.9


def test_a_strangers_text_on_the_users_subject_does_not_sound_like_the_user(corpus: dict[str, list[str]]) -> None:
    verifier = Verifier(corpus)
    subject = dict(zip(STYLES, SUBJECTS, strict=True))["loud"]
    stranger = texts("formal", subject, 8, 99)
    assert verifier.score(stranger, "loud", [user for user in verifier.users if user != "loud"]) < 0.8
    assert verifier.score(stranger, "formal", [user for user in verifier.users if user != "formal"]) > 0.9


def test_a_surface_editor_alone_moves_the_score_less_than_the_voice(corpus: dict[str, list[str]]) -> None:
    verifier = Verifier(corpus)
    others = [user for user in verifier.users if user != "loud"]
    edited = [text.replace(".", "!!!").replace(";", "!!!") for text in texts("formal", SUBJECTS[1], 8, 99)]
    real = verifier.score(texts("loud", SUBJECTS[1], 8, 99), "loud", others)
    assert verifier.score(edited, "loud", others) < real
