"""What the rules of a grammar come to: refused where it is too much, passed where it is not."""

from __future__ import annotations

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.gbnf import read
from edge_ttp.policy.gbnf_bounds import MAX_OPTIONAL, refuse_unbounded


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('root ::= "a"? ' * 1 + '"a"? ' * 2000, "more than 500 optional parts in a row"),
        ("root ::= " + "x " * (MAX_OPTIONAL + 1) + '\nx ::= "a"?', "more than 500 optional parts"),
        ("\n".join(["root ::= r0", *(f"r{i} ::= r{i + 1} r{i + 1}" for i in range(60)), 'r60 ::= "a"']), "grow beyond"),
        (
            "\n".join(["root ::= r0", *(f"r{i} ::= r{i + 1} | r{i + 1}" for i in range(60)), 'r60 ::= "a"']),
            "grow beyond",
        ),
        ('root ::= (("a"{2000}){2000}){2000}', "grow beyond"),
        ('root ::= root "a" | "b"', "left recursion"),
        ('root ::= e\ne ::= x? e\nx ::= "a"', "left recursion"),
        ("root ::= a\na ::= b\nb ::= c\nc ::= a", "left recursion"),
        ("root ::= x", "Undefined rule identifier 'x'"),
        ('x ::= "a"', "no rule named 'root'"),
    ],
)
def test_what_comes_to_too_much_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        refuse_unbounded(read(text))


@pytest.mark.parametrize(
    "text",
    [
        'root ::= v\nv ::= "[" (v ("," v)*)? "]" | "x"',  # names itself, but not first
        "root ::= " + '"a"? ' * MAX_OPTIONAL,
        'root ::= ("a"*)*',
        "\n".join(["root ::= r0", *(f"r{i} ::= r{i + 1}" for i in range(9000)), 'r9000 ::= "a"']),
    ],
)
def test_what_stays_within_limits_passes(text: str) -> None:
    refuse_unbounded(read(text))
