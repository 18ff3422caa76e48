"""The end of an answer: one that runs on is continued, alone; one that is still cut is said to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_ttp.answer import controls
from edge_ttp.answer.ask import Ask, Rooms
from edge_ttp.answer.prepare import Prepared
from edge_ttp.answer.waves import Drawing, drawn_by
from edge_ttp.errors import Cancelled, DeadlineTooShort, OutOfCapacity
from edge_ttp.policy.job import Claim, Paused
from edge_ttp.policy.request import Control, Sampled
from edge_ttp.schema import Candidate

LEAST_MORE = 64
MOST_MORE = 512
"""Tokens that a chosen answer may go on for: as many again as it had, within these; the most of them where nobody's
habit says how long it should be."""

_OTHER_STREAM = 1 << 40
"""Added to the seed of what is continued: its random numbers must not be those of the beginning again."""


@dataclass(frozen=True)
class Ending:
    """A chosen answer with its end."""

    candidate: Candidate
    notes: tuple[str, ...] = ()
    added: str = ""
    """What was added to the text."""
    prefill_s: float = 0.0
    decode_s: float = 0.0


def goes_on(ask: Ask) -> bool:
    """Whether a chosen answer that its length cut would be continued: not where length or grammar are the caller's."""
    return ask.sampling.max_tokens is None and ask.grammar is None and ask.speaker == "user"


def end(
    rooms: Rooms, ask: Ask, prepared: Prepared, drawing: Drawing, index: int, *, deadline: float | None
) -> Paused[Ending]:
    """The chosen candidate, gone on with where its greatest length cut it, and what the user should know of its end.

    `deadline`: for the recorded answer, a moment of time.monotonic. A length that the caller named is kept, and so is
    the place in a grammar: those are only said.
    """
    chosen, tokens = drawing.candidates[index], drawing.sampled.token_ids[index]
    if chosen.finish_reason != "length":
        return Ending(chosen)
    if not goes_on(ask):
        return Ending(chosen, _cut(ask, chosen))
    more = yield from _go_on(rooms, ask, prepared, chosen, tokens=tokens, deadline=drawn_by(rooms, 1, deadline))
    if more is None or not more.token_ids:
        return Ending(chosen, _cut(ask, chosen))
    added = more.candidates[0]
    ended = chosen.model_copy(
        update={
            "text": _joined(rooms, tokens, more.token_ids[0], added),
            "tokens": chosen.tokens + added.tokens,
            "logprob": chosen.logprob + added.logprob,
            "finish_reason": added.finish_reason,
        }
    )
    rest = ended.text.removeprefix(chosen.text)
    return Ending(ended, _cut(ask, ended), rest, more.prefill_s, more.decode_s)


def _go_on(
    rooms: Rooms, ask: Ask, prepared: Prepared, chosen: Candidate, *, tokens: Sequence[int], deadline: float | None
) -> Paused[Sampled | None]:
    """What the policy says next; None where there is no room or no time for it."""
    prompt = (*prepared.encoded.tokens, *tokens)
    habit = bool(prepared.recollection.recent)
    most = max(LEAST_MORE, min(MOST_MORE, prepared.longest)) if habit else MOST_MORE
    more = next((size for size in (most, LEAST_MORE) if _fits(rooms, len(prompt), size)), None)
    if more is None:
        return None
    control = Control(deadline=deadline, cancel=ask.cancel)
    request = controls.request(
        prepared.sampling,
        rooms.policy.tokens,
        prompt=prompt,
        prompt_stop=prepared.encoded.prompt.stop,
        n=1,
        seed=(chosen.seed + _OTHER_STREAM) % 2**63,
        max_tokens=more,
    )
    try:
        job = rooms.policy.begin(
            request,
            control,
            memory_bytes=rooms.memory_bytes,
            threads=None if rooms.costs is None else rooms.costs.threads(rooms.free_cores),
            claim=Claim(ask.user, ask.priority),
        )
        return (yield from job.outcome())
    except (OutOfCapacity, DeadlineTooShort, Cancelled):
        return None


def _fits(rooms: Rooms, prompt: int, more: int) -> bool:
    try:
        rooms.policy.width(prompt, more, 1, memory_bytes=rooms.memory_bytes)
    except OutOfCapacity:
        return False
    return True


def _joined(rooms: Rooms, begun: Sequence[int], gone_on: Sequence[int], added: Candidate) -> str:
    """Beginning and end with the space between them. A stop text is among the tokens, but not in `added`."""
    beginning, whole = rooms.policy.text(begun), rooms.policy.text((*begun, *gone_on))
    after = whole[len(beginning) :] if whole.startswith(beginning) else ""
    space = after[: len(after) - len(after.lstrip())] if after.strip() else ""
    return f"{beginning}{space}{added.text}".strip()


def _cut(ask: Ask, candidate: Candidate) -> tuple[str, ...]:
    """What to say of an answer that is not complete."""
    if candidate.finish_reason == "stop" or ask.sampling.structured:
        return ()
    if ask.sampling.max_tokens is not None:
        return (f"the answer is cut: it reached --max-tokens {ask.sampling.max_tokens}",)
    why = {
        "length": "it was still going on",
        "deadline": "the deadline ended it",
        "cancelled": "it was cancelled",
        "capacity": "the memory holds no more of it",
        "raced": "it was dropped halfway",
    }[candidate.finish_reason]
    cure = "; --max-tokens allows more" if candidate.finish_reason == "length" else ""
    return (f"the answer is cut after {candidate.tokens} tokens: {why}{cure}",)
