"""GBNF grammars: broken, endless, exponential, and odd but sound."""

from __future__ import annotations

import random
import time
from pathlib import Path

from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.request import Control, Request
from edge_ttp.schema import Sampling

from ..case import Case
from ..models import default_policy

DEADLINE_S = 6.0
SIGNS = 'root:=|()[]"\\{}0123456789,*+?.- \n\r#ab^<>!é\x00\x7f'


def written(chance: random.Random, depth: int = 0) -> str:
    """Some alternatives, groups within groups."""
    if depth > chance.choice((1, 3, 6)):
        return chance.choice(['"a"', "[a-z]", '"ab"', ".", "[^a]", '""', "r1", "r2", '"\\n"', "[0-9]", '" "'])
    made = []
    for _ in range(chance.choice((1, 2, 2, 5))):
        parts = []
        for _ in range(chance.choice((0, 1, 2, 3))):
            inner = written(chance, depth + 1)
            many = chance.choice(["", "", "", "*", "+", "?", "{2}", "{0,3}", "{1,}", "{0,300}", "{5,2}", "{1999}"])
            parts.append((f"({inner})" if chance.random() < 0.6 else inner) + many)
        made.append(" ".join(parts))
    return " | ".join(made)


def rules(chance: random.Random) -> tuple[str, str]:
    """Rules written at random."""
    text = "\n".join(f"{name} ::= {written(chance)}" for name in ("root", "r1", "r2"))
    return text, f"rules at random ({len(text)} bytes)"


def repeated(chance: random.Random) -> tuple[str, str]:
    """Repetitions of repetitions."""
    text = '"a"'
    for _ in range(chance.choice((1, 2, 3, 6, 90))):
        low = chance.choice((0, 0, 1, 5, 100, 2000, 10**9))
        high = chance.choice(("", low, low + 1, 2000, 5, 10**9, 10**30))
        text = f"({text}){{{low},{high}}}" if chance.random() < 0.9 else f"({text}){{{low}}}"
    return f"root ::= {text}", text[:40]


def optional(chance: random.Random) -> tuple[str, str]:
    """Many parts in a row that may be left out."""
    count, sign = chance.choice((100, 300, 499, 2000, 20_000)), chance.choice(["?", "*", "{0,2}"])
    letter = chance.choice(['"a"', "[a-z]", '("a" | "b")', "r"])
    return f'root ::= {f"{letter}{sign} " * count}\nr ::= "a"?', f"{letter}{sign} {count} times"


def doubling(chance: random.Random) -> tuple[str, str]:
    """Rules that name the next one twice."""
    count = chance.choice((10, 17, 19, 60, 2000))
    between = chance.choice([" ", " | ", "? ", "* "])
    lines = [f"r{index} ::= r{index + 1}{between}r{index + 1}" for index in range(count)]
    end = chance.choice(['"a"', '"a"?', "[a-z]*", f"r{chance.randrange(count)}", "nosuch"])
    return "\n".join(["root ::= r0", *lines, f"r{count} ::= {end}"]), f"{count} rules that double"


def circles(chance: random.Random) -> tuple[str, str]:
    """Rules that name themselves."""
    text = chance.choice(
        [
            'root ::= root "a" | "b"', 'root ::= "a" root | "b"', "root ::= root", 'root ::= e\ne ::= e? "a" | e',
            'root ::= e\ne ::= "a" | "a" e | "a" e e | "(" e ")"', 'root ::= ("")*', 'root ::= (("a")*)*',
            "root ::= (([a-z]? [a-z]?)? [a-z]*)* [!]", 'root ::= e e e e e\ne ::= e1 | ""\ne1 ::= "a" e "a"',
            'root ::= s\ns ::= s s | "a"', 'root ::= a\na ::= b\nb ::= c\nc ::= a | "x"', "root ::= ( | | )+",
        ]
    )  # fmt: skip
    return text, text[:50].replace("\n", " ")


def nested(chance: random.Random) -> tuple[str, str]:
    """Brackets within brackets, in and out of comments."""
    depth = chance.choice((50, 101, 200, 5000, 60_000))
    start = chance.choice(["root ::= ", "#\rroot ::= ", "#\r", "#\n#\r\n", 'root ::= "a" #(((\r | '])
    return start + "(" * depth + '"a"' + ")" * chance.choice(
        (depth, depth - 1, 0)
    ), f"{depth} brackets behind {start!r}"


def sizes(chance: random.Random) -> tuple[str, str]:
    """Much of one thing."""
    count = chance.choice((100, 5000, 30_000, 100_000))
    text = chance.choice(
        [
            f'root ::= "{"a" * count}"',
            f"root ::= [{'a' * count}]",
            "root ::= " + '"a" | ' * (count // 8) + '"b"',
            "\n".join(['root ::= "a"', *(f'x{index} ::= "b"' for index in range(count // 12))]),
            "root ::= " + "." * count,
            f'root ::= "a"{" " * count}"b"',
            "#" * count,
            f'{"r" * count} ::= "a"',
            "root ::= [" + "a-z" * (count // 3) + "]",
        ]
    )
    return text, f"{len(text)} bytes of {text[8:20]!r}"


def signs(chance: random.Random) -> tuple[str, str]:
    """Signs at random."""
    text = "".join(chance.choice(SIGNS) for _ in range(chance.choice((1, 10, 60, 1000))))
    return chance.choice(["", "root ::= ", 'root ::= "']) + text, f"signs: {text[:30]!r}"


def escapes(chance: random.Random) -> tuple[str, str]:
    """Escapes and characters that there are not."""
    odd = [
        "\\x",
        "\\xZZ",
        "\\u12",
        "\\uD800",
        "\\U00110000",
        "\\U0010FFFF",
        "\\q",
        "\\",
        "\ud800",
        "\\x00",
        "\U0010ffff",
    ]
    text = "".join(chance.choice(odd) for _ in range(chance.choice((1, 2))))
    return chance.choice(
        [f'root ::= "{text}"', f"root ::= [{text}-{text}]", f"root ::= [^{text}]", f"root ::= <{text}>"]
    ), repr(text)


MAKERS = (rules, rules, rules, repeated, repeated, optional, doubling, doubling, circles, nested, sizes, signs, escapes)


class _Grammars:
    deadline_s = DEADLINE_S
    budget_bytes = 400 << 20

    def __init__(self, home: Path) -> None:
        self._policy = LlamaPolicy(default_policy(), threads=1)
        self._prompt = self._policy.encode_text("Say something: ")

    def case(self, chance: random.Random, folder: Path) -> Case:
        text, what = chance.choice(MAKERS)(chance)
        return Case(what, lambda: self.follow(text))

    def follow(self, grammar: str) -> None:
        """Some candidates that follow it."""
        asked = Request(self._prompt, n=3, sampling=Sampling(), seed=1, max_tokens=16, grammar=grammar)
        self._policy.sample(asked, Control(deadline=time.monotonic() + DEADLINE_S))


def open(home: Path) -> _Grammars:
    return _Grammars(home)
