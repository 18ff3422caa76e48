"""Every way to put a request that context and memory hold: so many examples, answers of so many tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp import schema
from edge_ttp.answer.ask import Ask, Rooms
from edge_ttp.answer.encoding import EncodedPrompt, encode
from edge_ttp.answer.example_worth import worth, writes_long
from edge_ttp.answer.lengths import AnswerLengths
from edge_ttp.answer.prompt import Example
from edge_ttp.answer.recollection import Recollection
from edge_ttp.budget import gain
from edge_ttp.budget.planner import Option
from edge_ttp.errors import OutOfCapacity

CUT_WORTH = 1.0
"""What a text loses that has to end before its end, in units of the utility's spread (docs/budget.md)."""

_LEVELS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Numbers of examples that are compared, beside the one asked for."""


@dataclass(frozen=True)
class Ways:
    """The options for the planner with the prompt of each, and why others do not fit."""

    options: tuple[Option, ...]
    prompts: tuple[EncodedPrompt, ...]
    refusal: OutOfCapacity | None

    def prompt_of(self, option: Option) -> EncodedPrompt:
        """The prompt that goes with one of the options."""
        return next(prompt for one, prompt in zip(self.options, self.prompts, strict=True) if one is option)


def ways(
    rooms: Rooms, ask: Ask, recollection: Recollection, lengths: AnswerLengths, *, turns: Sequence[Example]
) -> Ways:
    """Every way to put the request behind these `turns` that context and memory hold.

    Where nothing hurries it is the fullest one alone. A number of examples that the caller named is never changed.
    """
    most = ask.n or ask.budget.max_candidates or schema.MAX_CANDIDATES
    calibration = recollection.calibration
    several = gain.before_scores(calibration, most)
    available = len(recollection.examples)
    fewer = {level for level in _LEVELS if level < available} if ask.examples is None else set()
    free = rooms.costs is None or ask.budget.deadline_s is None
    options: list[Option] = []
    prompts: list[EncodedPrompt] = []
    refusal = None
    counts = [(count, recollection.core) for count in sorted({*fewer, available}, reverse=True)]
    if recollection.core:  # where not even it fits, examples come before it
        counts += [(count, ()) for count, _ in counts]
    for count, core in counts:
        encoded = _encoded(rooms, ask, recollection.examples[:count], turns, lengths, core=core)
        for longest in lengths.caps:
            try:
                width = _width(rooms, ask, len(encoded.tokens), longest)
            except OutOfCapacity as too_long:
                refusal = too_long
                continue
            missed = _worth(lengths, available) - _worth(lengths, count)
            lost = (missed + CUT_WORTH * lengths.cut(longest)) * calibration.spread
            usual = min(lengths.usual, longest)
            seconds = _seconds(rooms, ask, encoded.tokens, longest=longest, usual=usual, most=most, width=width)
            options.append(Option(count, longest, seconds, several - lost, width))
            prompts.append(encoded)
            if free:
                return Ways(tuple(options), tuple(prompts), refusal)
    return Ways(tuple(options), tuple(prompts), refusal)


def _encoded(
    rooms: Rooms,
    ask: Ask,
    examples: Sequence[Example],
    turns: Sequence[Example],
    lengths: AnswerLengths,
    *,
    core: Sequence[Example],
) -> EncodedPrompt:
    return encode(
        rooms.policy,
        rooms.style,
        ask.prompt,
        examples,
        turns,
        system=ask.system,
        context=ask.context,
        speaker=ask.speaker,
        several_lines=lengths.several_lines,
        core=core,
    )


def _worth(lengths: AnswerLengths, examples: int) -> float:
    return worth(examples, long=writes_long(lengths.typical))


def _width(rooms: Rooms, ask: Ask, prompt: int, longest: int) -> int | None:
    """Candidates that the memory holds at once, None where that does not bind. Raises OutOfCapacity for none."""
    if rooms.memory_bytes is None or ask.n is not None:  # a number asked for is drawn in waves, if need be
        rooms.policy.width(prompt, longest, 1, memory_bytes=rooms.memory_bytes)
        return None
    width = rooms.policy.width(prompt, longest, schema.MAX_CANDIDATES, memory_bytes=rooms.memory_bytes)
    return None if width >= schema.MAX_CANDIDATES - 1 else width


def _seconds(
    rooms: Rooms, ask: Ask, tokens: tuple[int, ...], *, longest: int, usual: int, most: int, width: int | None
) -> npt.NDArray[np.float64] | None:
    """Predicted seconds, (most,), from now to the recorded answer."""
    if rooms.costs is None:
        return None
    reading = rooms.costs.prefill_s(len(tokens), rooms.policy.resident(tokens, ask.user), rooms.free_cores)
    scored = rooms.reward is not None
    drawing = rooms.costs.draw_s(
        most, prompt=len(tokens), longest=longest, usual=usual, free=rooms.free_cores, width=width, scored=scored
    )
    # Drawing goes by turns with the others who are here.
    return (reading + drawing) / rooms.share(ask.user, ask.priority) + rooms.costs.after_s
