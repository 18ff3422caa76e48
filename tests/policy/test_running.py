"""How candidates end, and how their bytes become text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ttp.policy.engine import Engine
from edge_ttp.policy.request import Control, Request, StepReport
from edge_ttp.policy.running import Running
from edge_ttp.schema import Sampling

from .calls import APART, request, said, sample, script, uniform
from .table import TableDecoder


def test_an_end_token_ends_a_candidate_and_is_no_text() -> None:
    decoder = TableDecoder(script(3, 4, 0), ends=[0])
    sampled = sample(decoder, request(n=1))
    assert said(sampled) == [("3 4", 0.0, "stop")]
    assert sampled.candidates[0].tokens == 3


def test_an_end_token_at_once_gives_an_empty_text() -> None:
    sampled = sample(TableDecoder(script(0), ends=[0]), request(n=3))
    assert [one.text for one in sampled.candidates] == [""] * 3
    assert sampled.steps == 0


@pytest.mark.parametrize("most", [1, 2, 9])
def test_no_candidate_is_longer_than_asked(most: int) -> None:
    sampled = sample(TableDecoder(uniform), request(max_tokens=most))
    assert {(one.tokens, one.finish_reason) for one in sampled.candidates} == {(most, "length")}
    assert sampled.steps == most - 1


def test_a_stop_string_ends_the_text_before_it_even_across_tokens() -> None:
    pieces = [b"Hel", b"lo E", b"N", b"D of", b" it"]
    decoder = TableDecoder(script(0, 1, 2, 3, 4), pieces=pieces)
    sampled = sample(decoder, request(n=1, stop=("END", "it")))
    assert said(sampled) == [("Hello", 0.0, "stop")]
    assert sampled.candidates[0].tokens == 4


def test_of_several_stop_strings_the_first_in_the_text_counts() -> None:
    decoder = TableDecoder(script(0), pieces=[b"one two three"])
    assert sample(decoder, request(n=1, stop=("three", "two", ""))).candidates[0].text == "one"


def test_a_stop_string_at_the_very_beginning_gives_an_empty_text() -> None:
    decoder = TableDecoder(script(0), pieces=[b"\nmore"])
    assert said(sample(decoder, request(n=1, stop=("\n",)))) == [("", 0.0, "stop")]


def test_tokens_without_text_count_but_say_nothing() -> None:
    decoder = TableDecoder(script(0, 1, 0, 2), pieces=[b"", b"EN", b"D"])
    assert said(sample(decoder, request(n=1, stop=("END",)))) == [("", 0.0, "stop")]
    assert sample(TableDecoder(script(0), pieces=[b""]), request(n=1, max_tokens=5)).candidates[0].tokens == 5


def test_a_stop_string_of_several_bytes_is_found_between_half_characters() -> None:
    decoder = TableDecoder(script(0, 1, 2), pieces=[b"caf\xc3", b"\xa9 \xe2\x82", b"\xac end"])
    assert sample(decoder, request(n=1, stop=("€",))).candidates[0].text == "café"


def test_a_stop_string_that_is_no_text_never_matches() -> None:
    decoder = TableDecoder(script(0), pieces=[b"?"])
    assert sample(decoder, request(n=1, max_tokens=3, stop=("\ud800",))).candidates[0].text == "???"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"ok", "ok"),
        ("日本語🙂".encode(), "日本語🙂"),
        (b"a\xff\xfeb", "a\ufffd\ufffdb"),
        (b"caf\xc3", "caf"),
        (b"\xe2\x82", ""),
        (b"x\xf0\x9f\x99", "x"),
        (b"\x80\x80\x80\x80", "\ufffd\ufffd\ufffd\ufffd"),
        (b"a\x00b", "a\x00b"),
    ],
)
def test_bytes_become_text_across_token_borders(data: bytes, text: str) -> None:
    pieces = [bytes([byte]) for byte in data] + [b""]
    decoder = TableDecoder(script(*range(len(data)), len(data)), pieces=pieces, ends=[len(data)])
    assert sample(decoder, request(n=2, max_tokens=20)).candidates[1].text == text


def test_candidates_end_one_by_one_and_those_left_go_on() -> None:
    decoder = TableDecoder(uniform, ends=[0])
    sampled = sample(decoder, request(n=20, max_tokens=12, sampling=APART))
    lengths = [one.tokens for one in sampled.candidates]
    assert len(set(lengths)) > 3
    for step, rows in enumerate(decoder.steps, start=1):
        assert len(rows) == sum(length > step for length in lengths)


# What is told while it is drawn


def told(pieces: list[bytes], stops: list[bytes], *, finish: bool = True) -> tuple[list[str], str]:
    """What was told after each piece, and the final text; it ends before the first stop text, as the engine cuts it."""
    running, said = Running(0, 1), []
    for place, piece in enumerate(pieces, start=1):
        running.data += piece
        ends = [at for stop in stops if (at := running.data.find(stop)) >= 0]
        if ends:
            del running.data[min(ends) :]
            running.finish = "stop"
        elif finish and place == len(pieces):
            running.finish = "length"
        said.append(running.new_text(stops))
        if running.finish is not None:
            break
    return said, running.result().text


def test_text_is_told_as_soon_as_nothing_can_take_it_away() -> None:
    assert told([b" one", b" two", b" "], []) == (["one", " two", ""], "one two")
    assert told([b"one", b"\n", b"two"], [b"\n\n"]) == (["one", "", "\ntwo"], "one\ntwo")
    assert told([b"one", b"\n", b"\ntwo"], [b"\n\n"]) == (["one", "", ""], "one")
    assert told([b"caf", b"\xc3", b"\xa9"], []) == (["caf", "", "é"], "café")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([b" ", b"a", b"b", b"ab", b"\n", b"\xc3", b"\xa9", b"\xe2\x82", b"\xac", b"ba "]), max_size=12
    ),
    st.lists(st.sampled_from([b"ab", b"\n\n", b"b\n", b"aba", b"\xc3\xa9"]), max_size=3),
)
def test_put_together_it_is_the_text(pieces: list[bytes], stops: list[bytes]) -> None:
    said, text = told(pieces, stops)
    assert "".join(said) == text


def test_the_first_text_comes_within_two_steps_after_the_prompt_was_read() -> None:
    def talk(_: tuple[int, ...]) -> np.ndarray:
        return np.array([-np.inf, *np.zeros(7)])

    reports: list[StepReport] = []
    decoder = TableDecoder(talk, ends={0})
    asked = Request((1, 2, 3, 4, 5, 6), n=3, sampling=Sampling(), seed=1, max_tokens=6)
    sampled = Engine(decoder).sample(asked, Control(on_step=reports.append), width=3)
    assert next(place for place, report in enumerate(reports) if report.texts) <= 1
    for index, candidate in enumerate(sampled.candidates):
        assert "".join(report.texts.get(index, "") for report in reports) == candidate.text
