"""Candidates as they come from an engine elsewhere: put together from pieces, begun anew where an answer broke off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_ttp.policy.elsewhere.openai_form import Piece
from edge_ttp.policy.elsewhere.spelling import spelled
from edge_ttp.policy.running import Running
from edge_ttp.schema import Candidate, FinishReason


@dataclass
class Heard:
    """One candidate as far as it has come."""

    index: int
    seed: int
    max_tokens: int
    stops: tuple[bytes, ...] = ()
    tokens: int = 0
    scored: int = 0
    """Tokens whose log-probability was said."""
    cut: bool = False
    """Whether it was ended here, while the engine may go on."""
    running: Running = field(init=False)

    def __post_init__(self) -> None:
        self.running = Running(self.index, self.seed)

    @property
    def complete(self) -> bool:
        """Whether it has ended by itself, by a stop text or by its length."""
        return self.running.finish is not None

    def begin_again(self) -> None:
        """Forgets what came of an answer that broke off. What was told of its text stays told."""
        heard = self.running.characters_told
        self.running = Running(self.index, self.seed, characters_told=heard)
        self.tokens = self.scored = 0

    def take(self, piece: Piece) -> None:
        """Adds a piece; what comes after the end is no part of it."""
        if self.complete:
            return
        running = self.running
        running.data += piece.text.encode()
        # An engine that counts nothing sends a token at a time.
        self.tokens += piece.tokens if piece.tokens is not None else int(bool(piece.text))
        if piece.logprob is not None:
            running.logprob += piece.logprob
            self.scored += piece.tokens or 0
        at = min((place for stop in self.stops if (place := running.data.find(stop)) >= 0), default=-1)
        if at >= 0:
            del running.data[at:]
            running.finish, self.cut = "stop", True
        elif piece.finish is not None:
            running.finish = piece.finish
        elif self.tokens >= self.max_tokens + 16:
            running.finish, self.cut = "length", True

    def new_text(self) -> str:
        """What it said since this was last asked."""
        return self.running.new_text(self.stops)

    def candidate(self, ended: FinishReason | None = None) -> Candidate:
        """This candidate as it stands; `ended` says why where it is not complete."""
        finish = self.running.finish or ended or "cancelled"
        known = {"tokens": max(1, self.tokens) if self.running.data else self.tokens, "finish_reason": finish}
        return self.running.result().model_copy(update=known)

    @property
    def token_ids(self) -> tuple[int, ...]:
        """Its text, spelled."""
        return spelled(bytes(self.running.data).decode("utf-8", "replace"))


def shares(wanted: Sequence[Heard], *, several: bool, temperatures: Sequence[float]) -> list[list[Heard]]:
    """Which candidates are asked for together: those of one temperature, where the engine gives several choices."""
    if not several:
        return [[one] for one in wanted]
    groups: dict[float, list[Heard]] = {}
    for one in wanted:
        groups.setdefault(temperatures[one.index % len(temperatures)], []).append(one)
    return list(groups.values())
