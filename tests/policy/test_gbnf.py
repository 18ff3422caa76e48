"""GBNF is read as llama.cpp reads it, whole and within limits."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.gbnf import MAX_BYTES, MAX_DEPTH, MAX_RULES, Part, read
from edge_ttp.policy.gbnf_bounds import refuse_unbounded


def root(text: str) -> list[list[Part]]:
    """The alternatives of `root` in the grammar `text`."""
    return read(text).alternatives["root"]


def character(letters: str, low: int = 1, high: int | None = 1) -> Part:
    return Part("", letters, low, high)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('root ::= "ab"', [character("a"), character("b")]),
        ('root ::= "\\n\\x41\\u00e9\\U0001F600"', [character(c) for c in (r"\u{a}", "A", r"\u{e9}", r"\u{1f600}")]),
        ("root ::= [a-z0_]", [character(r"[a-z0\u{5f}]")]),
        ("root ::= [^\\]-]", [character(r"[^\u{5d}\u{2d}]")]),
        ("root ::= .", [character("(?s:.)")]),
        ('root ::= "a"? "b"* "c"+', [character("a", 0, 1), character("b", 0, None), character("c", 1, None)]),
        ('root ::= "a"{3} "b"{2,} "c"{0,4}', [character("a", 3, 3), character("b", 2, None), character("c", 0, 4)]),
        ('root ::= "a" # a comment\r', [character("a")]),
        ('#\n#\r\n root ::=\n "a"', [character("a")]),
        ('root ::= "é"', [character(r"\u{e9}")]),
    ],
)
def test_one_sequence_is_read(text: str, parts: list[Part]) -> None:
    assert root(text) == [parts]


def test_groups_and_literals_that_repeat_become_rules() -> None:
    rules = read('root ::= ("a" | "b" c)+ "xy"{2}\nc ::= "c"').alternatives
    (group, twice), *_ = rules["root"]
    assert rules[group.rule] == [[character("a")], [character("b"), Part("c", "")]]
    assert rules[twice.rule] == [[character("x"), character("y")]]
    assert (group.low, group.high, twice.low, twice.high) == (1, None, 2, 2)


def test_lines_end_rules_but_not_groups() -> None:
    assert len(read('root ::= (\n"a" |\n "b"\n)\nother ::= "c"\r\nthird ::= "d"\rfourth ::= "e"').alternatives) == 5
    assert root('root ::= "a" |\n"b"') == [[character("a")], [character("b")]]


def test_the_last_rule_of_a_name_counts() -> None:
    assert root('root ::= "a"\nroot ::= "b"') == [[character("b")]]


def test_it_is_written_for_llguidance() -> None:
    lark = read('root ::= "a"{0,0} x? | ""\nx ::= [0-9]{2,}').lark()
    assert lark.splitlines() == ['start: "" r1{0,1}', ' | ""', "r1: /[0-9]/{2,}"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('root ::= "a"{5,2}', "line 1: at least 5 and at most 2 repetitions"),
        ('root ::= "a"{1000000000}', "more than 2,000 repetitions"),
        (f'root ::= "a"{{{"9" * 5000}}}', "more than 2,000 repetitions"),
        ('root ::= "a"{,3}', "a repetition should be"),
        ("root ::= *", "nothing before"),
        ('root ::= "a', "unexpected end"),
        ("root ::= [a", "unexpected end"),
        ("root ::= []", "without characters"),
        ("root ::= [z-a]", "back to 'a'"),
        ('root ::= ("a"', "unexpected end"),
        ('root ::= "a")', "the rule should end"),
        ('root ::= "\\q"', "unknown escape"),
        ('root ::= "\\x4"', "hexadecimal digits"),
        ('root ::= "\\uD800"', "no character 0xd800"),
        ('root ::= "\\U00110000"', "no character 0x110000"),
        ("root ::= <[5]>", "single tokens"),
        ("root ::= !<a>", "single tokens"),
        ('a\nroot ::= "a"', "line 1: '::=' is expected"),
        ('root ::= "a"\n\r\n$', "line 3: the name of a rule"),
        ("#\r" + "(" * 60_000, "line 2: the name of a rule"),
        ("#\rroot ::= " + "(" * 60_000, f"nested more than {MAX_DEPTH} deep"),
        ("\n".join(f'r{index} ::= "a"' for index in range(MAX_RULES + 1)), "more than 10,000 rules"),
        ("#" * (MAX_BYTES + 1), "too long"),
    ],
)
def test_what_is_not_valid_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words.replace("(", r"\(")) as refused:
        read(text)
    assert "\n" not in str(refused.value)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from('root:=|()[]"\\{}0123456789,*+?.- \n\r#ab^<>!é'), max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    for grammar in (text, "root ::= " + text):
        with contextlib.suppress(InvalidInput):
            refuse_unbounded(read(grammar))
