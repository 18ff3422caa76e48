"""Self-calibration: the policy answers a user's own past items with only earlier history in view, and is judged by
what the user really wrote.

Each item is one transaction, so that it may stop at any moment and go on later. Nothing is used that the user wrote
after the item.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

import numpy as np

from edge_ttp.answer import controls
from edge_ttp.answer.ask import DEFAULT_EXAMPLES, Rooms
from edge_ttp.answer.encoding import encode_fitting
from edge_ttp.answer.prompt import LENGTHS_FROM, tokens_for
from edge_ttp.answer.recollection import StoredVectors
from edge_ttp.errors import Cancelled, NotFound, OutOfCapacity
from edge_ttp.history.learned_rows import Layer
from edge_ttp.history.learning import Calibrated
from edge_ttp.learning.evidence import judged, layer_of, written
from edge_ttp.learning.improvement import Improvement, improvement
from edge_ttp.learning.learned import Learned, learned
from edge_ttp.policy.job import Claim
from edge_ttp.policy.request import Control
from edge_ttp.reward.model import RewardModel, Scores
from edge_ttp.reward.posterior import information
from edge_ttp.reward.user_profile import HISTORY_ITEMS
from edge_ttp.schema import Candidate, Feedback, HistoryItem, Sampling

CANDIDATES = 16
"""Candidates drawn for a past item."""

WINDOW = 8
"""Newest items among which the most uncertain one is taken next."""

PATIENCE = 4
"""Items in a row that taught too little before it stops."""

LEAST_NATS = 0.02
"""An item that makes the posterior narrower by less than this taught too little."""

_POLL_S = 0.02
_IDLE_POLL_S = 1.0

Stopped = Literal["everything", "learned", "time", "cancelled"]


@dataclass(frozen=True)
class Progress:
    """Where self-calibration stands."""

    calibrated: int
    """Items answered in this call."""
    renewed: int
    """Earlier evidence looked at again, because the reward model is another one."""
    nats: float | None
    """What the last item taught: how much narrower the posterior became."""


@dataclass(frozen=True)
class Adapted:
    """What one call of self-calibration did."""

    user: str
    calibrated: int
    renewed: int
    passed_over: int
    """Items whose prompt is too long for the policy."""
    left: int
    """Items that were not calibrated yet, counted up to 1000."""
    yielded: int
    """Times it made way for a request."""
    stopped: Stopped
    """everything: no item is left. learned: the last items taught too little. time: the time was over."""
    seconds: float
    learned: Learned
    improvement: Improvement
    """Whether the choice among candidates got better for this user."""


@dataclass(frozen=True)
class Manners:
    """When self-calibration has to wait or to end."""

    deadline: float | None = None
    """Moment of time.monotonic."""
    cancel: tuple[threading.Event, ...] = ()
    """Any of these ends it."""
    busy: Callable[[], bool] = field(default=lambda: False)
    """Whether a request runs, which has right of way."""
    idle: Callable[[], bool] = field(default=lambda: True)
    """Whether the device has nothing better to do. Asked between items."""

    def over(self) -> Stopped | None:
        """Why it has to end now, if it has to."""
        if any(one.is_set() for one in self.cancel):
            return "cancelled"
        return "time" if self.deadline is not None and time.monotonic() >= self.deadline else None

    def wait(self) -> Stopped | None:
        """Returns when it may go on, or why it has to end."""
        while (ended := self.over()) is None:
            if not self.busy() and self.idle():
                return None
            time.sleep(_POLL_S if self.busy() else _IDLE_POLL_S)
        return ended

    @contextmanager
    def watched(self) -> Iterator[threading.Event]:
        """A flag that is set as soon as a request comes or it has to end."""
        flag, done = threading.Event(), threading.Event()

        def watch() -> None:
            while not done.wait(_POLL_S):
                if self.busy() or self.over() is not None:
                    flag.set()
                    return

        watcher = threading.Thread(target=watch, name="edge-ttp-watch", daemon=True)
        watcher.start()
        try:
            yield flag
        finally:
            done.set()
            watcher.join()


def calibrate(
    rooms: Rooms, user: str, manners: Manners, *, advance: Callable[[Progress], None] = lambda _: None
) -> Adapted:
    """Answers the user's past items, newest and most uncertain first, until one of the `Stopped` reasons.

    `rooms` must have a reward model. Evidence of an earlier reward model is looked at again first. `advance` is called
    after every step. Raises HistoryUnavailable, ModelUnavailable.
    """
    assert rooms.reward is not None
    run = _Run(rooms, rooms.reward, user, manners, advance)
    began = time.monotonic()
    stopped = run.renew() or run.go()
    return Adapted(
        user=user,
        calibrated=run.calibrated,
        renewed=run.renewed,
        passed_over=len(run.passed_over),
        left=len(rooms.history.uncalibrated(user, 1000)),
        yielded=run.yielded,
        stopped=stopped,
        seconds=time.monotonic() - began,
        learned=learned(rooms.history, user, rooms.reward),
        improvement=improvement(rooms.history, user, rooms.reward),
    )


class _Run:
    """One call: what it did so far."""

    def __init__(
        self, rooms: Rooms, reward: RewardModel, user: str, manners: Manners, advance: Callable[[Progress], None]
    ) -> None:
        self._rooms, self._reward, self._user, self._manners, self._advance = rooms, reward, user, manners, advance
        self.calibrated = self.renewed = self.yielded = 0
        self.passed_over: set[int] = set()
        self._guesses: dict[int, Layer] = {}

    def renew(self) -> Stopped | None:
        """Looks at stored candidates again for which there is no evidence under this reward model."""
        calibrated, feedback = self._rooms.history.outdated(self._user, self._reward.fingerprint)
        sources: list[Calibrated | Feedback] = [*calibrated, *feedback]
        for source in sources:
            ended = self._manners.wait()
            if ended is not None:
                return ended
            self._renew_one(source)
            self.renewed += 1
            self._advance(Progress(self.calibrated, self.renewed, None))
        return None

    def _renew_one(self, source: Calibrated | Feedback) -> None:
        history = self._rooms.history
        if isinstance(source, Calibrated):
            layer, texts = self._layer(source.item, source.candidates)
            history.renew_evidence(source, written(source.item, layer, texts))
            return
        try:
            generation = history.generation(source.generation_id, self._user)
        except NotFound:
            return  # forgotten in the meantime
        asked = HistoryItem(
            user_id=self._user, input=generation.prompt, output=generation.text, created_at=generation.created_at
        )
        layer, texts = self._layer(asked, generation.candidates)
        history.renew_evidence(source, judged(source, layer, texts))

    def go(self) -> Stopped:
        """Calibrates one item after another."""
        poor = 0
        while True:
            if not self._left():  # a busy device must not be waited for without anything to do
                return self._manners.over() or "everything"
            ended = self._manners.wait()
            if ended is not None:
                return ended
            known = learned(self._rooms.history, self._user, self._reward)
            item = self._next(known)
            if item is None:
                return "everything"
            layer = self._calibrate(item)
            if layer is None:
                continue
            nats = information(known.weights, layer.features, layer.noise)
            poor = poor + 1 if nats < LEAST_NATS else 0
            self.calibrated += 1
            self._advance(Progress(self.calibrated, self.renewed, nats))
            if poor == PATIENCE:
                return "learned"

    def _next(self, known: Learned) -> HistoryItem | None:
        """Of the newest items not calibrated yet, the one that would teach most; None if there is none."""
        best, most = None, -1.0
        for item in self._left():
            guess = self._guess(item)
            nats = information(known.weights, guess.features, guess.noise)
            if nats > most:
                best, most = item, nats
        return best

    def _left(self) -> list[HistoryItem]:
        """The newest items not calibrated yet, at most WINDOW."""
        newest = self._rooms.history.uncalibrated(self._user, WINDOW + len(self.passed_over))
        return [item for item in newest if item.id not in self.passed_over][:WINDOW]

    def _guess(self, item: HistoryItem) -> Layer:
        """The last layer over texts that resemble what will be drawn: the user's own, and the examples'."""
        assert item.id is not None
        if item.id not in self._guesses:
            seen = self._rooms.history.recall(
                self._user, item.input, DEFAULT_EXAMPLES, before=item.created_at, exclude=(item.id,)
            )
            texts = [item.output, *(one.item.output for one in seen)]
            drawn = [
                Candidate(text=text, tokens=len(text.split()), logprob=-float(len(text.split()))) for text in texts
            ]
            self._guesses[item.id] = self._layer(item, drawn)[0]
        return self._guesses[item.id]

    def _calibrate(self, item: HistoryItem) -> Layer | None:
        """The last layer over candidates drawn for the item, stored with its evidence; None where it had to stop."""
        assert item.id is not None
        try:
            drawn = self._draw(item)
        except OutOfCapacity:
            self.passed_over.add(item.id)
            return None
        if drawn is None:
            return None
        layer, texts = self._layer(item, drawn)
        evidence = written(item, layer, texts)
        return layer if self._rooms.history.calibrate(item, self._rooms.policy_name, drawn, evidence) else None

    def _draw(self, item: HistoryItem) -> tuple[Candidate, ...] | None:
        """Candidates for the item from a prompt that holds earlier items only; None where it had to make way."""
        history, policy = self._rooms.history, self._rooms.policy
        assert item.id is not None
        seen = history.recall(self._user, item.input, DEFAULT_EXAMPLES, before=item.created_at, exclude=(item.id,))
        examples = [(one.item.input, one.item.output) for one in seen]
        recent = history.items(self._user, before=item.created_at, limit=LENGTHS_FROM, prompts=False)
        longest = tokens_for([policy.count_tokens(one.output) for one in recent])
        encoded = encode_fitting(
            policy,
            self._rooms.style,
            item.input,
            examples,
            longest=longest,
            memory_bytes=self._rooms.memory_bytes,
        )
        request = controls.request(
            controls.settled(Sampling(), self._rooms.temperatures, self._rooms.adapters),
            policy.tokens,
            prompt=encoded.tokens,
            prompt_stop=encoded.prompt.stop,
            n=CANDIDATES,
            seed=_seed(item),
            max_tokens=longest,
        )
        with self._manners.watched() as flag:
            try:
                claim = Claim(self._user, "background")
                sampled = policy.sample(
                    request, Control(cancel=flag), memory_bytes=self._rooms.memory_bytes, claim=claim
                )
            except Cancelled:
                self.yielded += self._manners.over() is None
                return None
        if any(one.finish_reason == "cancelled" for one in sampled.candidates):
            self.yielded += self._manners.over() is None
            return None
        return sampled.candidates

    def _layer(self, item: HistoryItem, drawn: Sequence[Candidate]) -> tuple[Layer, list[str]]:
        """The last layer over candidates for the item, with the user seen as they were before it; and the texts."""
        before = self._rooms.history.items(self._user, before=item.created_at, limit=HISTORY_ITEMS, prompts=False)
        profile = self._reward.profile(before, StoredVectors(self._rooms.history))
        scores: Scores = self._reward.score(profile, item.input, drawn)
        layer = layer_of(self._reward.fingerprint, scores)
        narrow = [np.asarray(part, np.float32).astype(np.float64) for part in (layer.features, layer.noise)]
        return Layer(layer.reward, *narrow), [one.text for one in drawn]


def _seed(item: HistoryItem) -> int:
    """A seed of its own for every item, so that no two draw from the same random stream."""
    return int.from_bytes(sha256(f"{item.input} {item.output}".encode()).digest()[:4], "big")
