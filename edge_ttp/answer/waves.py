"""Drawing and scoring: in one go, or in waves after which the planner decides whether more are worth their time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp import schema
from edge_ttp.answer import controls, events
from edge_ttp.answer.ask import Ask, Rooms
from edge_ttp.answer.prepare import Prepared, margin_s, reserve_s
from edge_ttp.answer.race import Racing, among, going_on, races
from edge_ttp.budget import gain
from edge_ttp.budget.device_profile import Profile
from edge_ttp.budget.planner import more, part_wave
from edge_ttp.policy.job import Claim, Paused
from edge_ttp.policy.request import Control, Sampled
from edge_ttp.reward.model import Scores

LARGEST_RESERVE = 0.4
"""Part of the time left that scoring and recording may claim: an answer comes first."""


@dataclass(frozen=True)
class Drawing:
    """The candidates of one request with their scores, and how they came about."""

    sampled: Sampled
    scores: Scores | None
    """None where nothing judges them."""
    wanted: int
    """Candidates that were asked for, over all waves."""
    decisions: tuple[str, ...]
    """What was decided after each wave, in words."""
    score_s: float
    scored: int
    """Candidates scored, those that were scored twice counted twice."""
    scorings: int

    @property
    def candidates(self) -> tuple[schema.Candidate, ...]:
        """In the order of their seeds."""
        return self.sampled.candidates


def draw(rooms: Rooms, ask: Ask, prepared: Prepared, *, seed: int, deadline: float | None) -> Paused[Drawing]:
    """Draws and scores the candidates, in as many waves as are worth it; `deadline`: a moment of time.monotonic."""
    telling = None if ask.emit is None else events.Telling(ask.emit)
    scorer = _Scorer(rooms, prepared, telling)
    waves = _waves(rooms, ask, prepared, scorer, deadline)
    planned = prepared.planned
    racing = None
    if waves is None and rooms.reward is not None and races(rooms, ask, prepared, planned.n):
        racing = Racing(rooms.reward, prepared)
    most = planned.n if waves is None else waves.most
    likely = min(most, max(planned.n, 2 * part_wave(planned.n)))
    share = rooms.share(ask.user, ask.priority)
    expected_s = prepared.plan.expected_s
    control = Control(
        deadline=drawn_by(rooms, likely, deadline),
        cancel=ask.cancel,
        on_step=None if telling is None else telling.step,
        on_queued=None if ask.emit is None else events.forward_queued(ask.emit),
        first_wave=None if waves is None else waves.first,
        more=None if waves is None else waves.more,
        race=None if racing is None else racing.as_race(),
    )
    job = rooms.policy.begin(
        controls.request(
            prepared.sampling,
            rooms.policy.tokens,
            prompt=prepared.encoded.tokens,
            core=prepared.encoded.core,
            prompt_stop=prepared.encoded.prompt.stop,
            n=most,
            seed=seed,
            max_tokens=prepared.longest,
            grammar=ask.grammar,
        ),
        control,
        memory_bytes=rooms.memory_bytes,
        threads=None if rooms.costs is None else rooms.costs.threads(rooms.free_cores),
        claim=Claim(ask.user, ask.priority, None if expected_s is None else expected_s * share),
    )
    sampled = yield from job.outcome()
    return Drawing(
        sampled=sampled,
        scores=scorer.scores(sampled.candidates),
        wanted=planned.n if waves is None else waves.wanted,
        decisions=tuple(waves.decisions if waves is not None else racing.decisions if racing is not None else ()),
        score_s=scorer.seconds,
        scored=scorer.scored,
        scorings=scorer.scorings,
    )


def drawn_by(rooms: Rooms, n: int, deadline: float | None) -> float | None:
    """When drawing has to end so that `n` candidates can be scored and recorded; some time is left for drawing."""
    if deadline is None:
        return None
    left = max(0.0, deadline - time.monotonic())
    return deadline - min(reserve_s(rooms, n), LARGEST_RESERVE * left)


class _Scorer:
    """Judges the candidates so far, and counts what that takes."""

    def __init__(self, rooms: Rooms, prepared: Prepared, telling: events.Telling | None) -> None:
        self._reward, self._telling = rooms.reward, telling
        self._given = prepared.request  # an answer is judged by all that it answers
        self._profile, self._learned = prepared.recollection.profile, prepared.recollection.learned
        self.seconds = 0.0
        self.scored = 0
        self.scorings = 0
        self._latest: tuple[int, Scores | None] = (0, None)

    def scores(self, candidates: Sequence[schema.Candidate]) -> Scores | None:
        """The scores of all candidates; those of the last wave's decision where none came after it."""
        count, scores = self._latest
        if count == len(candidates) and scores is not None:
            return scores
        if self._reward is None or self._profile is None or self._learned is None:
            return None
        began = time.monotonic()
        going = going_on(candidates)
        scores = self._reward.score(
            self._profile, self._given, [candidates[place] for place in going], self._learned.weights
        )
        if len(going) < len(candidates):
            scores = among(scores, going, len(candidates))
        self.seconds += time.monotonic() - began
        self.scored += len(candidates)
        self.scorings += 1
        self._latest = (len(candidates), scores)
        if self._telling is not None:
            self._telling.lead(int(np.argmax(scores.mean)))
        return scores


def _waves(rooms: Rooms, ask: Ask, prepared: Prepared, scorer: _Scorer, deadline: float | None) -> _Waves | None:
    """What decides after each wave; None unless the planner chose N and something judges the candidates."""
    if ask.n is not None or rooms.costs is None or rooms.reward is None or prepared.recollection.profile is None:
        return None
    if prepared.planned.bound_by in ("trust", "no_reward"):
        return None
    return _Waves(rooms, rooms.costs, ask, prepared, scorer, deadline=deadline)


class _Waves:
    """Decides after each scored wave how many further candidates are worth their time."""

    def __init__(
        self, rooms: Rooms, costs: Profile, ask: Ask, prepared: Prepared, scorer: _Scorer, *, deadline: float | None
    ) -> None:
        self._rooms, self._costs, self._ask, self._prepared = rooms, costs, ask, prepared
        self._scorer, self._deadline = scorer, deadline
        self._planned, self._record = prepared.planned, prepared.recollection.calibration
        self.most = max(self._planned.n, self._planned.most)
        """Candidates in all waves together, at most."""
        self.first = gain.first_wave(
            self._planned.n,
            record=self._record,
            seconds=self._seconds(self._planned.n),
            score_s=costs.score_s,
            cost=self._planned.price,
        )
        """Candidates to draw before the first decision."""
        self.wanted = self.first
        self.decisions: list[str] = []

    def more(self, candidates: Sequence[schema.Candidate]) -> int:
        """How many further candidates are worth their time, now that these are there."""
        scores = self._scorer.scores(candidates)
        if scores is None:
            return 0
        count = len(candidates)
        most = min(self._planned.most - count, part_wave(self._planned.n))
        if most < 1:
            return 0
        seconds = self._seconds(most) + self._costs.score_s(count)
        improvement = gain.after_wave(self._record, scores.mean).improvement(most)
        left = None
        if self._deadline is not None:
            left = self._deadline - time.monotonic() - self._costs.after_s - margin_s(self._rooms)
        further = more(seconds, improvement, self._planned.price, most=most, left_s=left)
        self.wanted = count + further
        place = (further or 1) - 1
        self.decisions.append(
            f"after {count} candidates: {further or 'no'} more"
            f" ({'' if further else 'one would be '}worth {float(improvement[place]):.4f} in {seconds[place]:.2f} s)"
        )
        if further:
            self._ask.tell(schema.Event(type="planned", n=self.wanted))
        return further

    def _seconds(self, most: int) -> npt.NDArray[np.float64]:
        """(most,) predicted seconds to draw and score 1, 2, ... candidates behind the prompt, by turns with others."""
        drawing = self._costs.draw_s(
            most,
            prompt=len(self._prepared.encoded.tokens),
            longest=self._prepared.longest,
            usual=self._prepared.usual,
            free=self._rooms.free_cores,
        )
        return drawing / self._rooms.share(self._ask.user, self._ask.priority)
