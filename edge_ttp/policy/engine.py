"""The candidate engine: one prefill, then N candidates decoded together. Knows nothing about prompts, users or rewards.

A row of a decoding batch stands for all candidates that have drawn the same tokens so far: one token is computed
once, however many candidates share it. When they draw different tokens, the row splits. Every candidate draws from
its own random stream, so sharing changes no distribution.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import Cancelled, DeadlineTooShort, OutOfCapacity
from edge_ttp.policy.decoder import Aborted, Constraint, Decoder, NoRoom
from edge_ttp.policy.job import Asked, Steps
from edge_ttp.policy.reading import alike, pieces, reusable
from edge_ttp.policy.request import Control, Raced, Request, Sampled
from edge_ttp.policy.running import Running, step_report
from edge_ttp.policy.sampling import Sampler
from edge_ttp.schema import Candidate, FinishReason

Clock = Callable[[], float]


class Engine:
    """Draws candidates with one Decoder, one call after another: calls must not overlap (policy/seats.py sees to it).

    Between its steps a call may rest, so that others draw with decoders of their own.
    """

    def __init__(self, decoder: Decoder, *, clock: Clock = time.monotonic, pool: Executor | None = None) -> None:
        """`pool` lends a second thread for drawing from large vocabularies."""
        self._decoder = decoder
        self._pool = pool
        self._clock = clock
        self.held: tuple[list[int], npt.NDArray[np.float32] | None] = [], None
        """The prompt tokens in the cache, and the logits (vocabulary,) after them where they are known."""

    def sample(self, request: Request, control: Control, *, width: int) -> Sampled:
        """As `steps`, all of them at once: `control.more` is asked in between."""
        steps = self.steps(request, control, width=width)
        with closing(steps):
            answer = None
            while True:
                try:
                    message = steps.send(answer)
                except StopIteration as finished:
                    sampled: Sampled = finished.value
                    return sampled
                answer = control.hear(message)

    def steps(self, request: Request, control: Control, *, width: int) -> Steps[Sampled]:
        """Candidates for `request`, at most `width` of them decoded at once (more run in waves), step by step.

        Yields None where it has computed something and may rest, and Asked (candidates so far) where it has to be told
        how many more are wanted. A deadline or a cancel keeps what is there: finished candidates, and unfinished ones
        as they stand. Raises DeadlineTooShort or Cancelled where not even the prompt was read; OutOfCapacity where the
        prompt does not fit.
        """
        with closing(_Call(self._decoder, self._clock, request, control, self._pool)) as call:
            return (yield from self._steps(call, request, width))

    def _steps(self, call: _Call, request: Request, width: int) -> Steps[Sampled]:
        # 1. Prefill once: only what the cache does not hold yet.
        call.compile()
        logits, cached = yield from self._prefill(request.prompt, call)
        prefill_s = call.computed_s()
        # 2. Waves of candidates, forked from the prompt; between them the caller may score and decide again.
        waves = first = 0
        wanted = request.n if call.first_wave is None else min(request.n, call.first_wave)
        while first < request.n:
            if waves and call.ended():
                break
            if first >= wanted:
                further = yield from call.more()
                wanted = min(request.n, first + further)
                if first >= wanted:
                    break
            waves += 1
            after = min(wanted, first + width)
            yield from call.run_wave(logits, range(first, after))
            first = after
        decode_s = call.computed_s() - prefill_s
        return Sampled(
            candidates=call.results(),
            token_ids=tuple(tuple(candidate.drawn) for candidate in call.candidates if candidate.drawn),
            prompt_tokens=len(request.prompt),
            cached_tokens=cached,
            prefill_s=prefill_s,
            decode_s=decode_s,
            sample_s=decode_s - call.decoder_s,
            rows=sum(call.step_rows),
            steps=len(call.step_rows),
            waves=waves,
            step_rows=tuple(call.step_rows),
        )

    def adopt(self, tokens: Sequence[int], after: npt.NDArray[np.float32] | None) -> None:
        """Takes over what was put into sequence 0 of the decoder: these tokens, and what comes after them."""
        self.held = list(tokens), after

    def resident(self, prompt: Sequence[int]) -> int:
        """How many of the prompt's first tokens the cache holds and a call would not compute again."""
        held, after = self.held
        shared = alike(prompt, held)
        if shared == len(prompt) == len(held) and after is not None:
            return shared
        return reusable(shared, len(prompt), grain=self._decoder.grain, chunk=self._decoder.chunk)

    def forget(self) -> None:
        """Empties the cache: nothing of an earlier prompt stays in memory for reuse."""
        self.held = [], None
        self._decoder.clear()

    def _prefill(self, prompt: Sequence[int], call: _Call) -> Steps[tuple[npt.NDArray[np.float32], int]]:
        """Logits after `prompt`, and how many of its tokens were in the cache already.

        Read in such pieces that every token is computed in the same way with and without reuse (policy/reading.py), so
        that a recorded seed replays the same candidates whatever ran before.
        """
        shared = self.resident(prompt)
        logits = self.held[1]
        if shared < len(prompt):
            if shared == 0 or not self._decoder.truncate(shared):
                shared = 0
                self._decoder.clear()
            self.held = list(prompt[:shared]), None
            for start, end in pieces(shared, len(prompt), grain=self._decoder.grain, chunk=self._decoder.chunk):
                if start > shared:
                    yield from call.rest()
                call.check_before_first_token()
                logits = self._read(prompt[start:end], start, call, last=end >= len(prompt))
        call.check_before_first_token()
        assert logits is not None  # the last piece asks for them
        return logits, shared

    def _read(self, piece: Sequence[int], start: int, call: _Call, *, last: bool) -> npt.NDArray[np.float32] | None:
        """Reads one piece of the prompt; the logits after it where it is the last."""
        try:
            logits = self._decoder.prefill(piece, start, want_logits=last)
        except Aborted:
            call.check_before_first_token()
            raise Cancelled("cancelled before the first token") from None
        except NoRoom:
            self.forget()
            raise OutOfCapacity(f"the cache holds {start} tokens of a longer prompt", "shorten the prompt") from None
        except BaseException:
            self.forget()
            raise
        self.held = [*self.held[0], *piece], None if logits is None else logits.copy()
        return self.held[1]


class _Call:
    """The state of one call of Engine.steps."""

    def __init__(
        self, decoder: Decoder, clock: Clock, request: Request, control: Control, pool: Executor | None
    ) -> None:
        self._decoder = decoder
        self._clock = clock
        self._request = request
        self._control = control
        self._share = request.sampling.share_prefixes and decoder.shares_rows
        self._stops = tuple(text.encode("utf-8", "surrogatepass") for text in request.stop if text)
        self._reach = max((len(stop) for stop in self._stops), default=0)
        seeds = [(request.seed + index) % 2**63 for index in range(request.n)]
        self._sampler = Sampler(request.sampling, seeds, request.max_tokens, logit_bias=request.logit_bias, pool=pool)
        self.candidates = [Running(index, seed) for index, seed in enumerate(seeds)]
        self._constraint: Constraint | None = None
        self.decoder_s = 0.0
        self._last_step_s = 0.0
        self._last_rest_s = 0.0
        self._computed_s = 0.0
        self._woke = clock()
        self.step_rows: list[int] = []
        self.first_wave = control.first_wave if control.more is not None else None
        # Where the caller decides as it goes, candidates that were never begun are not spoken of.
        self._shown = request.n if self.first_wave is None else 0

    def compile(self) -> None:
        """Makes the grammar ready. Raises InvalidInput, or as `check_before_first_token`."""
        if self._request.grammar is not None:
            try:
                self._constraint = self._decoder.constrain(self._request.grammar)
            except Aborted:
                self.check_before_first_token()
                raise Cancelled("cancelled before the first token") from None

    def close(self) -> None:
        """Frees the grammar's states."""
        for held in (self._constraint, *(candidate.constraint for candidate in self.candidates)):
            if held is not None:
                held.close()

    def results(self) -> tuple[Candidate, ...]:
        """The candidates begun so far, as they stand."""
        return tuple(candidate.result() for candidate in self.candidates if candidate.drawn)

    def computed_s(self) -> float:
        """Seconds of its own so far, those in which it rested left out."""
        return self._computed_s + self._clock() - self._woke

    def rest(self, message: Asked | None = None) -> Generator[object, Any, Any]:
        """Lets others compute, or waits for the reply to a question: what comes back."""
        slept = self._clock()
        self._computed_s += slept - self._woke
        reply = yield message
        self._woke = self._clock()
        self._last_rest_s = self._woke - slept if message is None else 0.0
        return reply

    def more(self) -> Steps[int]:
        """How many further candidates the caller wants, having seen those that there are; none without being asked."""
        if self._control.more is None:
            return 0
        further = yield from self.rest(Asked(self.results()))
        return max(0, further or 0)

    def ended(self, *, resting: bool = False) -> FinishReason | None:
        """Why the call has to end now: a cancel, or a deadline that the next step would pass.

        `resting`: before it rests, as long as last time.
        """
        if self._control.cancel is not None and self._control.cancel.is_set():
            return "cancelled"
        deadline = self._control.deadline
        ahead = self._last_step_s + (self._last_rest_s if resting else 0.0)
        if deadline is not None and self._clock() + ahead > deadline:
            return "deadline"
        return None

    def check_before_first_token(self) -> None:
        """Raises if the call has to end while there is nothing to return."""
        reason = self.ended()
        if reason == "cancelled":
            raise Cancelled("cancelled before the first token")
        if reason == "deadline":
            raise DeadlineTooShort(
                f"the deadline passed while reading the prompt of {len(self._request.prompt)} tokens",
                "allow more time, or recall fewer examples",
            )

    def run_wave(self, logits: npt.NDArray[np.float32], members: range) -> Steps[None]:
        """Draws the candidates of `members` to their end, starting from the prompt's logits (vocabulary,)."""
        active = [self.candidates[index] for index in members]
        self._shown = max(self._shown, members.stop)
        for sequence, candidate in enumerate(active, start=1):
            candidate.sequence = sequence
            candidate.constraint = self._constraint.copy() if self._constraint is not None else None
        self._decoder.fork([candidate.sequence for candidate in active])
        row_of = np.zeros(len(active), dtype=np.int64)
        current = logits[None, :]
        step = 0
        try:
            while True:
                # Draw one token for each candidate; those that end leave the batch and free their cells.
                active, row_of = self._draw(current, row_of, active, step)
                step += 1
                if self._control.race is not None and step in self._control.race.at and len(active) > 1:
                    active, row_of = yield from self._race(active, row_of)
                if not active:
                    return
                reason = self.ended(resting=True)
                if reason is None:
                    yield from self.rest()
                    reason = self.ended()
                if reason is not None:
                    self._end(active, reason)
                    self._tell((), active)
                    return
                current, active, row_of = self._decode(active, row_of)
                if not active:
                    return
        except BaseException:
            self._end(active, "cancelled")
            raise

    def _race(
        self, active: list[Running], row_of: npt.NDArray[np.int64]
    ) -> Steps[tuple[list[Running], npt.NDArray[np.int64]]]:
        """Those that go on after the caller has seen how all of them begin."""
        worse = set((yield from self.rest(Raced(self.results()))) or ())
        gone = [candidate for candidate in active if candidate.index in worse]
        self._end(gone, "raced")
        self._tell((), gone)
        keep = [slot for slot, candidate in enumerate(active) if candidate.finish is None]
        return [active[slot] for slot in keep], row_of[keep]

    def _draw(
        self, logits: npt.NDArray[np.float32], row_of: npt.NDArray[np.int64], active: list[Running], step: int
    ) -> tuple[list[Running], npt.NDArray[np.int64]]:
        indices = np.fromiter((candidate.index for candidate in active), dtype=np.int64, count=len(active))
        drawn = allowed = None
        if self._constraint is not None or self._request.sampling.penalizes:
            # Candidates of one row drew the same tokens: any of them stands for the row.
            leaders = dict(zip(row_of.tolist(), active, strict=True))
            drawn = [leaders[row].drawn for row in range(len(logits))]
            constraints = [leaders[row].constraint for row in range(len(logits))]
            for one in constraints:
                if one is None:
                    break
                if reason := self.ended():  # an ambiguous grammar takes as long for a row as the model does
                    if not any(candidate.drawn for candidate in self.candidates):
                        self.check_before_first_token()
                    self._end(active, reason)
                    self._tell((), active)
                    return [], row_of[:0]
                one.prepare()
            allowed = [one.allowed for one in constraints if one is not None] or None
        draw = self._sampler.draw(logits, row_of, indices, step, drawn=drawn, allowed=allowed)
        finished = []
        for candidate, token, logprob in zip(active, draw.tokens.tolist(), draw.logprobs.tolist(), strict=True):
            candidate.drawn.append(token)
            candidate.logprob += logprob
            self._append(candidate, token)
            if candidate.finish is not None:
                self._decoder.drop(candidate.sequence)
                finished.append(candidate)
        self._tell(finished, ())
        keep = [slot for slot, candidate in enumerate(active) if candidate.finish is None]
        return [active[slot] for slot in keep], row_of[keep]

    def _append(self, candidate: Running, token: int) -> None:
        """Adds a token's bytes and notes whether the candidate ends with it."""
        if self._decoder.ends_answer(token):
            candidate.finish = "stop"
            return
        piece = self._decoder.piece(token)
        candidate.data += piece
        # Only the new bytes can complete a stop string, with as much before them as the longest one needs.
        start = max(0, len(candidate.data) - len(piece) - self._reach + 1)
        ends = [at for stop in self._stops if (at := candidate.data.find(stop, start)) >= 0]
        if ends:
            del candidate.data[min(ends) :]
            candidate.finish = "stop"
        elif len(candidate.drawn) >= self._request.max_tokens:
            candidate.finish = "length"
        elif candidate.constraint is not None:
            candidate.constraint.accept(token)

    def _decode(
        self, active: list[Running], row_of: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float32], list[Running], npt.NDArray[np.int64]]:
        """Logits of the rows after the tokens just drawn, and the candidates that are still in them.

        Candidates of one row that drew the same token stay in one row. Without room in the cache, the last
        candidates end with "capacity" until the rest fits.
        """
        while active:
            rows: dict[tuple[int, int], list[int]] = {}
            for slot, candidate in enumerate(active):
                key = (int(row_of[slot]) if self._share else slot, candidate.drawn[-1])
                rows.setdefault(key, []).append(slot)
            groups = list(rows.values())
            leaders = [active[group[0]] for group in groups]
            base = len(self._request.prompt) - 1
            started = self._clock()
            try:
                logits = self._decoder.step(
                    [leader.drawn[-1] for leader in leaders],
                    [base + len(leader.drawn) for leader in leaders],
                    [[active[slot].sequence for slot in group] for group in groups],
                )
            except NoRoom:
                spare = max(1, math.ceil(len(active) / 8))
                self._end(active[-spare:], "capacity")
                self._tell((), active[-spare:])
                active, row_of = active[:-spare], row_of[:-spare]
                continue
            except Aborted:
                self._end(active, self.ended() or "cancelled")
                self._tell((), active)
                break
            self._last_step_s = self._clock() - started
            self.decoder_s += self._last_step_s
            self.step_rows.append(len(groups))
            new_row = np.empty(len(active), dtype=np.int64)
            for index, group in enumerate(groups):
                new_row[group] = index
            return logits, active, new_row
        return np.empty((0, 0), dtype=np.float32), [], row_of

    def _end(self, candidates: list[Running], reason: FinishReason) -> None:
        for candidate in candidates:
            candidate.finish = reason
            self._decoder.drop(candidate.sequence)

    def _tell(self, finished: Sequence[Running], dropped: Sequence[Running]) -> None:
        """Tells the caller how far the candidates are."""
        if self._control.on_step is not None:
            shown = self.candidates[: self._shown]
            self._control.on_step(step_report(shown, finished, dropped, stops=self._stops))
