"""What a voice adapter learns to rewrite: passages of many users' own texts, each behind a plain version of it.

A passage is the prompt that the runtime would make (edge_ttp.answer.rewriting): some pairs of one user as examples,
the most similar last, and one more to write. Any number names one passage, always the same one, so that a training
needs no list and an interrupted one goes on where it was.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edge_ttp.answer.encoding import encode
from edge_ttp.answer.facts import compared, signatures
from edge_ttp.answer.masks import masked
from edge_ttp.answer.outline import Depth, alike, content, outline, stiff
from edge_ttp.answer.plain_examples import passage_of
from edge_ttp.answer.prompt import EXAMPLE_INPUT_CHARS, Example, Style
from edge_ttp.answer.rewriting import instruction
from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.corpus import read_users, task_file
from edge_ttp.policy.formats.fidelity import Passage
from edge_ttp.policy.llama import LlamaPolicy

TRAIN, TUNE = (0, 1, 2, 3, 4, 5), (6, 7)
"""Tenths of the users (edge_ttp.lab.bench.scored_pools.part_of)."""
LONGEST = 512
"""Tokens of a passage: examples that do not fit are left out, the least similar first."""

_COUNTS = ((0, 6), (1, 8), (2, 16), (3, 20), (4, 50))
"""Examples of a passage, and how often so many, of a hundred."""
_NOTES, _STRICT, _SIMILAR = 0.6, 0.12, 0.6
"""Shares of passages of notes, of those with marks for facts, and of those whose examples are the most similar."""
_LOOKED_AT = 40
"""Other texts of the user that examples are taken from."""
_LEAST_WORDS = 3


@dataclass(frozen=True)
class _Text:
    """One text of a user, as far as a prompt shows it."""

    said: str

    @cached_property
    def words(self) -> frozenset[str]:
        return content(self.said)


class RewritePassages:
    """The passages of the users of some tasks in some tenths. Raises InvalidInput where no user has two texts."""

    def __init__(
        self,
        folder: Path,
        tasks: Sequence[str],
        policy: LlamaPolicy,
        style: Style,
        *,
        tenths: Sequence[int],
        seed: int = 0,
        longest: int = LONGEST,
    ) -> None:
        self._policy, self._style, self._longest, self._seed = policy, style, longest, seed
        read = {task: self._read(folder, task, tenths) for task in dict.fromkeys(tasks)}
        self._users = [read[task] for task in tasks if read[task]]
        if not self._users:
            raise InvalidInput("no user of these tasks has two texts", "name more tasks, or a larger corpus")

    @staticmethod
    def _read(folder: Path, task: str, tenths: Sequence[int]) -> list[list[_Text]]:
        users = read_users(task_file(folder, task), tenths=tenths).values()
        texts = [[_Text(cut) for one in items if (cut := passage_of(one.output))] for items in users]
        return [own for own in texts if len(own) > 1]

    @property
    def users(self) -> int:
        """How many users' texts there are, a user of two tasks as two."""
        return len({id(own) for task in self._users for own in task})

    def passage(self, number: int) -> Passage:
        """Passage `number`: tasks take turns, everything else is drawn with the number as the seed."""
        task = self._users[number % len(self._users)]
        attempt = 0
        while True:
            draw = random.Random(f"{self._seed} {number} {attempt}")
            found = self._drawn(draw, task)
            if found is not None:
                return found
            attempt += 1

    def _drawn(self, draw: random.Random, task: Sequence[Sequence[_Text]]) -> Passage | None:
        # A user of many texts is drawn more often, but not as often as all these texts.
        own = draw.choices(task, weights=[len(texts) ** 0.5 for texts in task])[0]
        target = draw.choice(own)
        notes, strict = draw.random() < _NOTES, draw.random() < _STRICT
        shown: Depth = "words" if notes else "flat"
        given = _given(target.said, notes, strict, draw)
        if given is None:
            return None
        count = draw.choices([one for one, _ in _COUNTS], weights=[share for _, share in _COUNTS])[0]
        others = _others(target, own, count, draw)
        pairs = [pair for one in others if (pair := _pair(one.said, shown, strict))]
        system = instruction(notes=notes, strict=strict)
        signed = signatures([one.said for one in own[:_LOOKED_AT]])
        while True:
            group = [*pairs, given]
            sound = [
                number == len(group) - 1 or (number > 0 and not compared(plain, text, own=signed).added)
                for number, (plain, text) in enumerate(group)
            ]
            if compared(*given, own=signed).added:
                return None  # it says what nobody could know from the notes: to learn that is to learn to invent
            found = self._encoded(group, sound, system)
            if found is not None and len(found.tokens) <= self._longest:
                return found
            if not pairs:
                return None
            pairs = pairs[1:]

    def _encoded(self, group: Sequence[Example], scored: Sequence[bool], system: str) -> Passage | None:
        """The prompt of `group`, oldest first, with the outputs that are `scored` to predict."""
        policy, style = self._policy, self._style

        def prompt(count: int, request: str) -> tuple[int, ...]:
            return encode(policy, style, request, list(reversed(group[:count])), system=system).tokens

        if len(group) == 1:  # nothing before it: another system message, so it ends differently from what follows
            head = encode(policy, style, group[0][0], (), system=system).tokens
            answer = (*policy.tokens(group[0][1] if style == "chat" else f" {group[0][1]}"), self._end)
            return Passage((*head, *answer), tuple(range(len(head), len(head) + len(answer))))
        tokens = prompt(len(group), "x")
        places: list[int] = []
        for number, (given, written) in enumerate(group):
            if number == 0 or not scored[number]:
                continue
            start = _common(tokens, prompt(number, given))
            length = policy.count_tokens(written if style == "chat" else f" {written}") + 1
            places += range(start, min(start + length, len(tokens)))
        return Passage(tokens[: places[-1] + 1], tuple(places)) if places else None

    @cached_property
    def _end(self) -> int:
        """The token that ends an answer."""
        if self._style != "chat":
            return self._policy.tokens("\n")[-1]
        one = self._policy.encode_chat([("user", "a")])
        two = self._policy.encode_chat([("user", "a"), ("assistant", "b"), ("user", "c")])
        assert one is not None
        assert two is not None
        return two[len(one) + self._policy.count_tokens("b")]


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _pair(text: str, depth: Depth, strict: bool, seed: int = 0) -> Example | None:
    said = masked(text).text if strict else text
    plain = outline(said, depth, seed=seed)
    return (plain, said) if plain and len(plain) <= EXAMPLE_INPUT_CHARS else None


def _given(text: str, notes: bool, strict: bool, draw: random.Random) -> Example | None:
    """The text to write with what is given for it: notes of two depths; a draft, flat or as another model has it."""
    if len(text.split()) < _LEAST_WORDS:
        return None
    seed = draw.randrange(1 << 30)
    if notes:
        return _pair(text, draw.choice(("words", "sparse")), strict, seed)
    if draw.random() < 0.5:
        return _pair(text, "flat", strict, seed)
    said = masked(text).text if strict else text
    plain = stiff(said)
    return (plain, said) if plain != said and len(plain) <= EXAMPLE_INPUT_CHARS else None


def _others(target: _Text, own: Sequence[_Text], count: int, draw: random.Random) -> list[_Text]:
    """`count` other texts of the user, none like another: the most similar, that one last, or any."""
    looked = draw.sample(range(len(own)), min(_LOOKED_AT, len(own)))
    found = [own[at] for at in looked if own[at] is not target]
    if draw.random() < _SIMILAR:
        found.sort(key=lambda one: -len(one.words & target.words) / (1 + len(one.words)) ** 0.5)
    chosen = [target]
    for one in found:
        if len(chosen) > count:
            break
        if not any(alike(one.words, other.words) for other in chosen):
            chosen.append(one)
    return chosen[:0:-1]
