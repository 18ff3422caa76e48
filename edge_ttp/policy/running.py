"""One candidate while it is drawn: its tokens, its bytes, and the text that can be told of already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_ttp.policy.decoder import Constraint
from edge_ttp.policy.request import StepReport
from edge_ttp.schema import Candidate, FinishReason


@dataclass
class Running:
    """A candidate being drawn."""

    index: int
    seed: int
    sequence: int = 0
    drawn: list[int] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)
    logprob: float = 0.0
    finish: FinishReason | None = None
    constraint: Constraint | None = None
    characters_told: int = 0
    """Characters of its text that were told of already."""

    def result(self) -> Candidate:
        """This candidate as it stands. Space around an answer is no part of it."""
        return Candidate(
            text=decode_text(self.data).strip(),
            tokens=len(self.drawn),
            logprob=self.logprob,
            finish_reason=self.finish or "cancelled",
            seed=self.seed,
        )

    def new_text(self, stops: Sequence[bytes]) -> str:
        """What it said since this was last asked: put together, the text of `result`.

        Held back is what may still be taken away: the beginning of a stop text, and space at the end.
        """
        data = bytes(self.data)
        if self.finish is None:
            data = data[: len(data) - _held_back(data, stops)]
        text = decode_text(data).strip()
        new = text[self.characters_told :]
        self.characters_told = max(self.characters_told, len(text))
        return new


def step_report(
    shown: Sequence[Running], finished: Sequence[Running], dropped: Sequence[Running], *, stops: Sequence[bytes]
) -> StepReport:
    """How far the candidates of a call are, with what each of them has said since the last report."""
    said = ((one.index, one.new_text(stops)) for one in shown if one.drawn)
    return StepReport(
        tokens=tuple(len(one.drawn) for one in shown),
        texts={index: text for index, text in said if text},
        finished={one.index: one.result() for one in finished},
        dropped={one.index: one.result() for one in dropped},
    )


def _held_back(data: bytes, stops: Sequence[bytes]) -> int:
    """Bytes at the end of `data` that may turn out to begin one of `stops`."""
    longest = max((len(stop) for stop in stops), default=0)
    for count in range(min(longest - 1, len(data)), 0, -1):
        if any(stop.startswith(data[-count:]) for stop in stops):
            return count
    return 0


def decode_text(data: bytes | bytearray) -> str:
    """The text of `data`: an unfinished last character is cut off, invalid bytes inside become U+FFFD."""
    data = bytes(data)
    for cut in range(1, min(4, len(data) + 1)):
        lead = data[-cut]
        if lead >= 0b11000000:  # the first byte of a character of 2, 3 or 4 bytes
            length = 2 if lead < 0b11100000 else 3 if lead < 0b11110000 else 4
            if cut < length:
                data = data[:-cut]
            break
        if lead < 0b10000000:
            break
    return data.decode("utf-8", "replace")
