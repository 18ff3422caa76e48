"""Draws candidates for the queries of a corpus as a request would: recall, prompt and lengths of the runtime's own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Protocol

from edge_ttp.answer.ask import DEFAULT_EXAMPLES
from edge_ttp.answer.encoding import encode, encode_fitting
from edge_ttp.answer.prompt import LENGTHS_FROM, Style, tokens_for
from edge_ttp.history import History
from edge_ttp.lab.bench.corpus import Query, seed_of
from edge_ttp.lab.bench.resumable import Resumable
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.request import Control, Request
from edge_ttp.schema import Candidate, HistoryItem, Sampling


@dataclass(frozen=True)
class DrawnText:
    """One drawn text, as it is kept between the runs of a measurement."""

    text: str
    tokens: int
    logprob: float
    finish_reason: str
    temperature: float

    @property
    def candidate(self) -> Candidate:
        """As the reward model takes it."""
        return Candidate(text=self.text, tokens=self.tokens, logprob=self.logprob)

    def as_list(self) -> list[Any]:
        """For JSON."""
        return [self.text, self.tokens, round(self.logprob, 4), self.finish_reason, self.temperature]

    @classmethod
    def of(cls, values: Sequence[Any]) -> DrawnText:
        """What `as_list` gave."""
        text, tokens, logprob, finish, temperature = values
        return cls(str(text), int(tokens), float(logprob), str(finish), float(temperature))


@dataclass(frozen=True)
class DrawnPool:
    """What was drawn for one query."""

    candidates: tuple[DrawnText, ...]
    examples: int
    """Recalled examples in the prompt."""
    seconds: float
    """Reading the prompt and drawing."""
    prompt: tuple[int, ...] = ()
    """The prompt's tokens."""


class Artist:
    """Draws for the users whose items it was opened with, in a history of its own that is deleted at the end."""

    def __init__(self, policy: LlamaPolicy, style: Style, history: History, *, longest: int) -> None:
        """Use `over`."""
        self.policy, self.style, self.history, self._longest = policy, style, history, longest

    @classmethod
    @contextmanager
    def over(cls, policy: LlamaPolicy, style: Style, queries: Sequence[Query], *, longest: int) -> Iterator[Artist]:
        """`longest`: most tokens of a candidate, however long the user's texts are."""
        latest: dict[tuple[str, str], Query] = {}
        for query in queries:
            owner = (query.task, query.item.user_id)
            if owner not in latest or latest[owner].place < query.place:
                latest[owner] = query
        with (
            tempfile.TemporaryDirectory(prefix="edge-ttp-bench-") as folder,
            History.open(Path(folder) / "bench.db") as history,
        ):
            for query in latest.values():
                user = owner_of(query)
                history.add_many(
                    HistoryItem(user_id=user, input=one.input, output=one.output, created_at=one.created_at)
                    for one in (*query.history, query.item)
                    if one.output.strip()
                )
            yield cls(policy, style, history, longest=longest)

    def examples(self, query: Query, count: int = DEFAULT_EXAMPLES) -> list[tuple[str, str]]:
        """What the runtime would have recalled before the query's item was written, the most similar first."""
        if not count:
            return []
        found = self.history.recall(owner_of(query), query.item.input, count, before=query.item.created_at)
        return [(one.item.input, one.item.output) for one in found]

    def draw(self, query: Query, examples: Sequence[tuple[str, str]], temperatures: Sequence[float]) -> DrawnPool:
        """One candidate at each of `temperatures`, from a prompt with as many of the examples as fit."""
        longest = self.longest(query)
        encoded = encode_fitting(self.policy, self.style, query.item.input, examples, longest=longest)
        request = Request(
            prompt=encoded.tokens,
            n=len(temperatures),
            sampling=Sampling(temperatures=tuple(temperatures)),
            seed=seed_of(query),
            max_tokens=longest,
            stop=encoded.prompt.stop,
        )
        drawn = self.policy.sample(request, Control())
        candidates = [
            DrawnText(one.text, one.tokens, one.logprob, one.finish_reason, temperature)
            for one, temperature in zip(drawn.candidates, temperatures, strict=True)
        ]
        seconds = drawn.prefill_s + drawn.decode_s
        return DrawnPool(tuple(candidates), encoded.prompt.examples, seconds, encoded.tokens)

    def shared(self, prompt: Sequence[int], core: Sequence[tuple[str, str]]) -> int:
        """Tokens at the beginning of `prompt` that every prompt with these examples first begins with."""
        if not core:
            return 0
        other = encode(self.policy, self.style, "?", [*reversed(core)]).tokens
        return next((at for at, pair in enumerate(zip(prompt, other, strict=False)) if pair[0] != pair[1]), len(other))

    def longest(self, query: Query) -> int:
        """Most tokens of a candidate for this query: by what the user wrote before."""
        lengths = [self.policy.count_tokens(one.output) for one in query.history[-LENGTHS_FROM:]]
        return min(self._longest, tokens_for(lengths))


class PoolRecipe(Protocol):
    """How the pools of one file are drawn."""

    @property
    def style(self) -> Style:
        """Of the prompts."""

    @property
    def longest(self) -> int:
        """Most tokens of a candidate."""

    def header(self) -> dict[str, Any]:
        """The first line of the file."""


def draw_missing(
    policy: LlamaPolicy,
    queries: Sequence[Query],
    out: Path,
    recipe: PoolRecipe,
    record: Callable[[Artist, Query], Mapping[str, Any]],
    *,
    advance: Callable[[int], None],
    cancel: Event | None = None,
) -> int:
    """Draws what `out` lacks of the queries, one after another, as `record` draws one; returns how many it holds now.

    `advance` is called with the number of queries done. Raises InvalidInput where `out` was made in another way.
    """
    with (
        Resumable.append(out, recipe.header()) as state,
        Artist.over(policy, recipe.style, queries, longest=recipe.longest) as artist,
    ):
        state.fill(queries, lambda query: record(artist, query), advance=advance, cancel=cancel)
        return len(state.done)


def owner_of(query: Query) -> str:
    """The name that a query's user has in the measurement's history: a user of two tasks is two."""
    return f"{query.task}/{query.item.user_id}"
