"""GBNF, llama.cpp's notation for grammars: read once and whole, within limits, and written as llguidance takes it.

The syntax is that of llama.cpp's grammars/README.md and src/llama-grammar.cpp. Every group becomes a rule of its own,
so that nothing nests any more; characters stay single, because a grammar of GBNF is one of characters: llguidance would
read a longer literal as one word, and of two words that fit only the longer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from edge_ttp.errors import InvalidInput

MAX_BYTES = 200_000
"""Longest grammar or schema, in bytes."""
MAX_DEPTH = 100
"""Deepest nesting of groups."""
MAX_RULES = 10_000
"""Most rules, a group counted as one."""
MAX_REPETITIONS = 2_000
"""Most times that one part may be repeated by number, as in llama.cpp."""

CURE = "see llama.cpp's grammars/README.md for the syntax"
_SPACE = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_SPACE_AND_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_NAME = re.compile(r"[A-Za-z0-9-]+")
_COUNTS = re.compile(r"\{[ \t]*(\d+)[ \t]*(?:(,)[ \t]*(\d*)[ \t]*)?\}")
_NUMBERED = {"x": 2, "u": 4, "U": 8}
_ESCAPED = {"t": "\t", "r": "\r", "n": "\n", "\\": "\\", '"': '"', "[": "[", "]": "]"}


class Part(NamedTuple):
    """One part of a sequence, and how often it may come."""

    rule: str
    """The rule it stands for; empty where it is a character."""
    characters: str
    """A regular expression for one character; empty where it is a rule."""
    low: int = 1
    high: int | None = 1
    """None: any number of times."""


Sequences = list[list[Part]]
"""The alternatives of a rule."""


@dataclass
class Rules:
    """A grammar that was read: its rules by name, `root` the first of them to be followed."""

    alternatives: dict[str, Sequences] = field(default_factory=dict)

    def named(self, name: str) -> list[str]:
        """The rules that the rule `name` names."""
        return [part.rule for sequence in self.alternatives[name] for part in sequence if part.rule]

    def lark(self) -> str:
        """The same grammar in llguidance's notation."""
        names = {name: f"r{index}" for index, name in enumerate(self.alternatives)}
        names["root"] = "start"
        lines = [
            f"{names[name]}: " + "\n | ".join(_written(sequence, names) for sequence in sequences)
            for name, sequences in self.alternatives.items()
        ]
        return "\n".join(lines) + "\n"


def read(text: str) -> Rules:
    """The rules of a GBNF grammar as they stand (gbnf_bounds looks at what they come to).

    Raises InvalidInput, with the line, for what is not valid or beyond a limit.
    """
    if not text.strip() or "\0" in text:
        raise InvalidInput("the grammar is empty or holds a NUL character", CURE)
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidInput("the grammar is no Unicode text", "save it as UTF-8") from error
    if size > MAX_BYTES:
        raise InvalidInput(f"a grammar of {size:,} bytes is too long", f"keep below {MAX_BYTES:,}")
    return _Reader(text).rules()


def _written(sequence: list[Part], names: dict[str, str]) -> str:
    return " ".join(_written_part(part, names) for part in sequence) or '""'


def _written_part(part: Part, names: dict[str, str]) -> str:
    atom = names[part.rule] if part.rule else f"/{part.characters}/"
    match part.low, part.high:
        case 1, 1:
            return atom
        case 0, 0:
            return '""'
        case low, high:
            return f"{atom}{{{low},{'' if high is None else high}}}"


class _Reader:
    """Descends once through the text."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._rules: dict[str, Sequences] = {}
        self._made = 0

    def rules(self) -> Rules:
        self._skip(_SPACE_AND_LINES)
        while self._at < len(self._text):
            name = self._match(_NAME, "the name of a rule")
            self._skip(_SPACE)
            self._expect("::=")
            self._skip(_SPACE_AND_LINES)
            self._add(name, self._alternatives(0))
            if self._at < len(self._text) and self._text[self._at] not in "\r\n":
                raise self._wrong("the rule should end here")
            self._skip(_SPACE_AND_LINES)
        return Rules(self._rules)

    def _add(self, name: str, sequences: Sequences) -> str:
        self._rules[name] = sequences
        if len(self._rules) > MAX_RULES:
            raise InvalidInput(f"the grammar has more than {MAX_RULES:,} rules and groups", "simplify it")
        return name

    def _group(self, sequences: Sequences) -> str:
        self._made += 1
        return self._add(f" {self._made}", sequences)  # no name has a space in it

    def _alternatives(self, depth: int) -> Sequences:
        if depth > MAX_DEPTH:
            raise InvalidInput(f"the grammar's groups are nested more than {MAX_DEPTH} deep", "name them as rules")
        found = [self._sequence(depth)]
        while self._text[self._at : self._at + 1] == "|":
            self._at += 1
            self._skip(_SPACE_AND_LINES)
            found.append(self._sequence(depth))
        return found

    def _sequence(self, depth: int) -> list[Part]:
        parts: list[Part] = []
        last: list[Part] = []  # what a repetition sign would repeat: a literal as a whole
        while self._at < len(self._text):
            sign = self._text[self._at]
            if sign in "*+?{":
                if not parts:
                    raise self._wrong(f"there is nothing before {sign!r} to repeat")
                del parts[len(parts) - len(last) :]
                last = [self._repeated(last)]
            elif sign == '"':
                last = self._literal()
            elif sign == "[":
                last = [Part("", self._class())]
            elif sign == ".":
                self._at += 1
                last = [Part("", "(?s:.)")]
            elif sign == "(":
                self._at += 1
                self._skip(_SPACE_AND_LINES)
                inside = self._alternatives(depth + 1)
                self._expect(")")
                last = [Part(self._group(inside), "")]
            elif sign in "<!":
                raise self._wrong("rules for single tokens are not supported")
            elif _NAME.match(sign):
                last = [Part(self._match(_NAME, "a name"), "")]
            else:
                break
            parts += last
            self._skip(_SPACE_AND_LINES if depth else _SPACE)
        return parts

    def _repeated(self, last: list[Part]) -> Part:
        sign = self._text[self._at]
        if sign == "{":
            low, high = self._counts()
        else:
            self._at += 1
            low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        plain = len(last) == 1 and (last[0].low, last[0].high) == (1, 1)
        part = last[0] if plain else Part(self._group([last]), "")
        return part._replace(low=low, high=high)

    def _counts(self) -> tuple[int, int | None]:
        match = _COUNTS.match(self._text, self._at)
        if match is None:
            raise self._wrong("a repetition should be {m}, {m,} or {m,n}")
        if max(len(match[1]), len(match[3] or "")) > 9:
            raise self._wrong(f"more than {MAX_REPETITIONS:,} repetitions")
        low = int(match[1])
        high = low if match[2] is None else int(match[3]) if match[3] else None
        if max(low, high or 0) > MAX_REPETITIONS:
            raise self._wrong(f"more than {MAX_REPETITIONS:,} repetitions")
        if high is not None and high < low:
            raise self._wrong(f"at least {low} and at most {high} repetitions")
        self._at = match.end()
        return low, high

    def _literal(self) -> list[Part]:
        self._at += 1
        found = []
        while self._here() != '"':
            found.append(Part("", _escaped(self._character())))
        self._at += 1
        return found or [Part("", "", 0, 0)]

    def _class(self) -> str:
        self._at += 1
        negated = self._here() == "^"
        self._at += negated
        members = ""
        while self._here() != "]":
            first = self._character()
            last = first
            if self._here() == "-" and self._text[self._at + 1 : self._at + 2] != "]":
                self._at += 1
                self._here()
                last = self._character()
                if last < first:
                    raise self._wrong(f"a range from {first!r} back to {last!r}")
            members += _escaped(first) + (f"-{_escaped(last)}" if last != first else "")
        self._at += 1
        if not members:
            if negated:
                return "(?s:.)"
            raise self._wrong("a class without characters")
        return f"[{'^' if negated else ''}{members}]"

    def _here(self) -> str:
        if self._at >= len(self._text):
            raise self._wrong("unexpected end of input")
        return self._text[self._at]

    def _character(self) -> str:
        sign = self._here()
        self._at += 1
        if sign != "\\":
            return sign
        kind = self._here()
        self._at += 1
        if kind not in _NUMBERED:
            if kind not in _ESCAPED:
                raise self._wrong(f"an unknown escape \\{kind}")
            return _ESCAPED[kind]
        digits = self._text[self._at : self._at + _NUMBERED[kind]]
        if not re.fullmatch(rf"[0-9A-Fa-f]{{{_NUMBERED[kind]}}}", digits):
            raise self._wrong(f"\\{kind} needs {_NUMBERED[kind]} hexadecimal digits")
        self._at += len(digits)
        code = int(digits, 16)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise self._wrong(f"there is no character {code:#x}")
        return chr(code)

    def _skip(self, space: re.Pattern[str]) -> None:
        found = space.match(self._text, self._at)
        assert found is not None  # it matches nothing as well
        self._at = found.end()

    def _match(self, pattern: re.Pattern[str], what: str) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self._wrong(f"{what} is expected")
        self._at = found.end()
        return found[0]

    def _expect(self, sign: str) -> None:
        if not self._text.startswith(sign, self._at):
            raise self._wrong(f"{sign!r} is expected" if self._at < len(self._text) else "unexpected end of input")
        self._at += len(sign)

    def _wrong(self, what: str) -> InvalidInput:
        lines = self._text[: self._at].replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
        return InvalidInput(f"the grammar is not valid (line {lines}: {what})", CURE)


def _escaped(character: str) -> str:
    """`character` in a regular expression or a class of one."""
    return character if character.isalnum() and character.isascii() else f"\\u{{{ord(character):x}}}"
