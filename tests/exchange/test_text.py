"""Bytes as text."""

from __future__ import annotations

import pytest

from edge_ttp.exchange.text import decoded, known_encoding, plain


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("klar – grüße, j.", "cp1252"),
        ("déjà vu à côté", "cp1252"),
        ("Привет, как дела? Отправил письмо вчера вечером, спасибо", "cp1251"),
        ("input;output\nКак дела?;нормально, спасибо, а у тебя?\n", "koi8-r"),
        ("今日は天気がいいですね。会議は午後三時からです。", "cp932"),
        ("zażółć gęślą jaźń, dziękuję bardzo za wiadomość", "cp1250"),
        ("Γειά σου, τι κάνεις σήμερα το απόγευμα", "cp1253"),
    ],
)
def test_an_encoding_is_guessed(text: str, encoding: str) -> None:
    found = decoded(text.encode(encoding))
    assert (found.text, found.guessed) == (text, True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_marks_and_utf8_are_no_guess(encoding: str) -> None:
    found = decoded("größe 😅".encode(encoding))
    assert (found.text, found.guessed) == ("größe 😅", False)


def test_what_was_declared_comes_first_where_it_fits() -> None:
    assert decoded("é".encode("cp1250"), "windows-1250").text == "é"
    assert decoded("größe".encode(), "us-ascii").text == "größe"


@pytest.mark.parametrize(
    "name", ["punycode", "idna", "zlib", "rot13", "unicode_escape", "no-such", "", "x" * 100, "\0"]
)
def test_codecs_that_are_no_encodings_of_files_are_not_used(name: str) -> None:
    assert known_encoding(name) is None
    assert decoded(b"abc", name).text == "abc"


def test_line_ends_and_marks_go() -> None:
    assert plain("\ufeffa\r\nb\rc\0") == "a\nb\nc"
