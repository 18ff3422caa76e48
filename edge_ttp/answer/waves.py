"""Drawing in waves: after each scored wave the planner decides again whether more candidates are worth their time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from edge_ttp import schema
from edge_ttp.answer import controls, events
from edge_ttp.answer.ask import Ask, Rooms
from edge_ttp.answer.prepare import Prepared, margin_s, reserve_s
from edge_ttp.budget import gain
from edge_ttp.budget.planner import more, part_wave
from edge_ttp.policy.request import Control, Sampled
from edge_ttp.reward.model import Scores

LARGEST_RESERVE = 0.4
"""Part of the time left that scoring and recording may claim: an answer comes first."""

Score = Callable[[Sequence[schema.Candidate]], Scores | None]


class Drawing:
    """The candidates of one request as they come, with their scores. Used once, from one thread."""

    def __init__(self, rooms: Rooms, ask: Ask, prepared: Prepared, score: Score, deadline: float | None) -> None:
        """`score` judges all candidates so far; `deadline` is a moment of time.monotonic."""
        self._rooms, self._ask, self._prepared, self._score = rooms, ask, prepared, score
        self._deadline = deadline
        self.wanted = prepared.planned.n
        """Candidates that were asked for, over all waves."""
        self.decisions: list[str] = []
        """What was decided after each wave, in words."""
        self.score_s = 0.0
        self.scored = 0
        """Candidates scored, those that were scored twice counted twice."""
        self.scorings = 0
        self._latest: tuple[int, Scores | None] = (0, None)

    @property
    def in_waves(self) -> bool:
        """Whether decisions follow: the planner chose N, and something judges the candidates."""
        rooms, planned = self._rooms, self._prepared.planned
        return (
            self._ask.n is None
            and rooms.costs is not None
            and rooms.reward is not None
            and self._prepared.recalled.profile is not None
            and planned.bound_by not in ("trust", "no_reward")
        )

    def sample(self, seed: int) -> Sampled:
        """Draws the candidates, in as many waves as are worth it."""
        rooms, ask, prepared = self._rooms, self._ask, self._prepared
        planned = prepared.planned
        first = self._first_wave() if self.in_waves else planned.n
        most = max(planned.n, planned.most) if self.in_waves else planned.n
        self.wanted = first
        likely = min(most, max(planned.n, 2 * part_wave(planned.n)))
        return rooms.policy.sample(
            controls.request(
                ask.sampling,
                rooms.policy.tokens,
                prompt=prepared.encoded.tokens,
                prompt_stop=prepared.encoded.prompt.stop,
                n=most,
                seed=seed,
                max_tokens=prepared.longest,
                grammar=ask.grammar,
            ),
            Control(
                deadline=self._drawn_by(likely),
                cancel=ask.cancel,
                on_step=None if ask.emit is None else events.forward(ask.emit),
                first_wave=first if self.in_waves else None,
                more=self._more if self.in_waves else None,
            ),
            memory_bytes=rooms.memory_bytes,
            threads=None if rooms.costs is None else rooms.costs.threads(rooms.free_cores),
        )

    def _first_wave(self) -> int:
        """Candidates to draw before the first decision."""
        n, costs = self._prepared.planned.n, self._rooms.costs
        assert costs is not None
        record, price = self._prepared.recalled.calibration, self._prepared.planned.price
        return gain.first_wave(n, record=record, seconds=self._seconds(n), score_s=costs.score_s, cost=price)

    def _seconds(self, most: int) -> npt.NDArray[np.float64]:
        """(most,) predicted seconds to draw and score 1, 2, ... candidates behind the prompt."""
        costs, prepared = self._rooms.costs, self._prepared
        assert costs is not None
        return costs.draw_s(
            most,
            prompt=len(prepared.encoded.tokens),
            longest=prepared.longest,
            usual=prepared.usual,
            free=self._rooms.free_cores,
        )

    def _drawn_by(self, n: int) -> float | None:
        """When drawing has to end so that `n` candidates can be scored and recorded; some time is left for drawing."""
        if self._deadline is None:
            return None
        left = max(0.0, self._deadline - time.monotonic())
        return self._deadline - min(reserve_s(self._rooms, n), LARGEST_RESERVE * left)

    def scores(self, drawn: Sequence[schema.Candidate]) -> Scores | None:
        """The scores of all candidates; those of the last wave's decision where none came after it."""
        count, scores = self._latest
        if count == len(drawn) and scores is not None:
            return scores
        began = time.monotonic()
        scores = self._score(drawn)
        self.score_s += time.monotonic() - began
        if scores is not None:
            self.scored += len(drawn)
            self.scorings += 1
        self._latest = (len(drawn), scores)
        return scores

    def _more(self, drawn: Sequence[schema.Candidate]) -> int:
        """How many further candidates are worth their time, now that these are scored."""
        costs, planned = self._rooms.costs, self._prepared.planned
        assert costs is not None
        scores = self.scores(drawn)
        if scores is None:
            return 0
        count = len(drawn)
        most = min(planned.most - count, part_wave(planned.n))
        if most < 1:
            return 0
        seconds = self._seconds(most) + costs.score_s(count)
        pool = gain.after_wave(self._prepared.recalled.calibration, scores.mean)
        improvement = pool.improvement(most)
        left = None
        if self._deadline is not None:
            left = self._deadline - time.monotonic() - costs.after_s - margin_s(self._rooms)
        further = more(seconds, improvement, planned.price, most=most, left_s=left)
        self.wanted = count + further
        place = (further or 1) - 1
        self.decisions.append(
            f"after {count} candidates: {further or 'no'} more"
            f" ({'' if further else 'one would be '}worth {float(improvement[place]):.4f} in {seconds[place]:.2f} s)"
        )
        if further and self._ask.emit is not None:
            self._ask.emit(schema.Event(type="planned", n=self.wanted))
        return further
