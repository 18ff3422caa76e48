from __future__ import annotations

import pytest

from edge_ttp.answer.language import detect, foreign, name


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Can you tell me when the next train to the coast leaves?", "en"),
        ("Kannst du mir sagen, wann der nächste Zug an die Küste fährt?", "de"),
        ("Peux-tu me dire quand part le prochain train pour la côte ?", "fr"),
        ("¿Puedes decirme cuándo sale el próximo tren a la costa?", "es"),
        ("海岸行きの次の電車はいつ出ますか。", "ja"),
        ("Можешь сказать, когда уходит следующий поезд к морю?", "ru"),
    ],
)
def test_a_sentence_is_recognized(text: str, language: str) -> None:
    assert detect(text) == language


@pytest.mark.parametrize("text", ["", "ok", "42 + 17 = ?", "Hi!", "\x00\ud800", "a" * 5])
def test_a_text_that_says_too_little_is_not_judged(text: str) -> None:
    assert detect(text) is None


def test_a_language_that_the_policy_cannot_write_is_said_with_the_cure() -> None:
    said = foreign("Kannst du mir am Samstag beim Umzug helfen?", ("en",), "tiny")
    assert said is not None
    assert "German" in said
    assert "tiny" in said
    assert "`edge-ttp models suggest --language de`" in said
    assert "--model" in said


def test_nothing_is_said_where_nothing_was_measured_or_the_language_is_known() -> None:
    german = "Kannst du mir sagen, wann der nächste Zug an die Küste fährt?"
    assert foreign(german, (), "tiny") is None
    assert foreign(german, ("en", "de"), "tiny") is None
    assert name("xx") == "xx"
