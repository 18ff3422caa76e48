"""Held-out text for comparing formats of a model: what people wrote, in the prompts the runtime itself would make."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from io import BufferedReader
from itertools import zip_longest
from pathlib import Path
from typing import Any, cast

from edge_ttp.answer.encoding import encode
from edge_ttp.answer.prompt import Style
from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.jsonl import LineReading, records
from edge_ttp.exchange.records import BadRecord, Numbered
from edge_ttp.history.importing import checked
from edge_ttp.policy.formats.derive import Text
from edge_ttp.policy.formats.fidelity import Passage
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.schema import HistoryItem

Pair = tuple[str, str]
"""Input and what was written in answer to it."""

POSITIONS = 512
"""Tokens that formats are compared on."""
MAX_TOKENS = 1024
"""Longest passage."""
_SCORED = 6  # outputs of a passage that are predicted: the first pair is an example, the last one closes the text
_GROUP = _SCORED + 2


def sample_pairs() -> list[list[Pair]]:
    """What the two sample histories' users wrote, oldest first; one list a user."""
    from edge_ttp.samples import SAMPLE_USERS, sample_items

    return [[(item["input"], item["output"]) for item in sample_items(user)] for user in SAMPLE_USERS]


def file_pairs(path: Path, user: str | None = None) -> list[list[Pair]]:
    """What the users of a JSONL file wrote (`user_id`?, `input`, `output`), in the file's order; one list a user.

    `user` takes that one alone. Raises InvalidInput for a file that cannot be read, or for its first line that is no
    item.
    """
    users: dict[str, list[Pair]] = {}
    try:
        with path.open("rb") as file:
            lines, how = cast("BufferedReader[Any]", file), LineReading(user=None, fallback="me")
            for record in checked(partial(records, lines, str(path), how)):
                if isinstance(record, BadRecord):
                    raise InvalidInput(f"line {record.number} of {str(path)!r}: {record.reason}", "correct the line")
                item = record.record if isinstance(record, Numbered) else None
                if isinstance(item, HistoryItem) and user in (None, item.user_id):
                    users.setdefault(item.user_id, []).append((item.input, item.output))
    except OSError as error:
        raise InvalidInput(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    return list(users.values())


def sample_text() -> Text:
    """The outputs of the two sample histories."""
    return text_of(sample_pairs(), "sample histories")


def file_text(path: Path) -> Text:
    """The outputs in a JSONL file of user_id, input and output. Raises InvalidInput."""
    return text_of(file_pairs(path), path.name)


def text_of(users: Sequence[Sequence[Pair]], name: str) -> Text:
    """What these users wrote, as formats are compared on it."""
    return Text(name, partial(_of_policy, users))


def _of_policy(users: Sequence[Sequence[Pair]], policy: LlamaPolicy, style: Style) -> list[Passage]:
    return passages(policy, style, users)


def passages(
    policy: LlamaPolicy, style: Style, users: Sequence[Sequence[Pair]], positions: int = POSITIONS
) -> list[Passage]:
    """Passages with about `positions` scored tokens in all, taken from all users in turn.

    Each passage is the runtime's prompt with a user's items as examples, oldest first; scored are the outputs after
    the first, with the token that ends each. Raises InvalidInput where no user has three items.
    """
    groups = [
        [items[first : first + _GROUP] for first in range(0, len(items) - 2, _SCORED)]
        for items in users
        if len(items) > 2
    ]
    limit = min(MAX_TOKENS, policy.context_trained)
    found: list[Passage] = []
    total = 0
    for turn in zip_longest(*groups):
        for group in turn:
            passage = _passage(policy, style, group, limit) if group else None
            if passage is None:
                continue
            found.append(passage)
            total += len(passage.scored)
            if total >= positions:
                return found
    if not found:
        raise InvalidInput("the data have no user with three items or more", "give a file with more of one user's text")
    return found


def _passage(policy: LlamaPolicy, style: Style, group: Sequence[Pair], limit: int) -> Passage | None:
    """The passage of consecutive items; None where none of its outputs lies within `limit` tokens."""
    *_, (closing, _) = group
    tokens = _prompt(policy, style, group[:-1], closing)
    scored: list[int] = []
    for index in range(1, len(group) - 1):
        given, written = group[index]
        start = _common(tokens, _prompt(policy, style, group[:index], given))
        lead = "" if style == "chat" else " "
        length = policy.count_tokens(lead + written.strip()) + 1
        scored += range(max(start, 1), min(start + length, limit, len(tokens)))
    return Passage(tokens[: scored[-1] + 1], tuple(scored)) if scored else None


def _prompt(policy: LlamaPolicy, style: Style, earlier: Sequence[Pair], request: str) -> tuple[int, ...]:
    return encode(policy, style, request, list(reversed(earlier)))[1]


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    count = 0
    for ours, theirs in zip(one, other, strict=False):
        if ours != theirs:
            break
        count += 1
    return count
