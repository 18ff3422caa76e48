"""The swap test: does it matter whose history is in the prompt, and whose the reward model knows?

Four ways to answer each query: own or a stranger's history in the prompt, own or strangers' for the reward model,
drawn by the same seeds. What is lost against own and own is told in utility and in voice, paired, with intervals over
users, and with the loss that so many users would show with a probability of .8 (two-sided, 5%).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.corpus import tasks_of
from edge_ttp.lab.bench.halves import Halved, halved_queries
from edge_ttp.lab.bench.ladders import Difference
from edge_ttp.lab.bench.quality import EVERY, JudgedPools, Key, user_of, voice_values
from edge_ttp.lab.bench.quality_pools import DRAWN_AT, RESULTS, DrawnQuery
from edge_ttp.lab.bench.quality_ways import Answering, WayAnswer, chosen
from edge_ttp.lab.bench.resumable import Resumable
from edge_ttp.reward.model import RewardModel

OWN, STRANGER = "own", "a stranger's"
SEEN = 2.8
"""Standard errors of a difference that is found in .8 of all samples at the 5% level: 1.96 + .84."""


@dataclass(frozen=True)
class SwapRow:
    """One combination."""

    prompt: str
    judge: str
    queries: int
    users: int
    utility: float
    lost: Difference
    """Utility of own and own minus this one's."""
    detects: float
    """Smallest loss that would probably be seen."""
    voice: float
    """By n-grams, standard deviations above strangers; nan where users have too few answers."""
    voice_lost: Difference

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self.__dict__, "lost": self.lost.as_dict(), "voice_lost": self.voice_lost.as_dict()}


def measure(
    reward: RewardModel,
    folder: Path,
    pools: Path,
    tenths: Sequence[int],
    *,
    advance: Callable[[int], None],
    cancel: Event | None = None,
) -> list[SwapRow]:
    """The four combinations on the queries of a file that `bench quality` drew. Raises InvalidInput for other files."""
    header, drawn = Resumable.read(pools)
    if header["results"] != RESULTS:
        raise InvalidInput(f"{pools} holds {header['results']}", "give a file of `bench quality`")
    each = int(header["each"])
    ways = Answering(reward)
    answers: dict[Key, dict[str, WayAnswer]] = {}
    halved: dict[Key, Halved] = {}
    every = halved_queries(folder, tasks_of(drawn), tenths=tenths, users=EVERY, each=each)
    for number, one in enumerate((one for one in every if one.query.key in drawn and one.strangers), 1):
        if cancel is not None and cancel.is_set():
            break
        record = DrawnQuery.of(drawn[one.query.key])
        halved[one.query.key] = one
        answers[one.query.key] = _combinations(ways, one, record)
        advance(number)
    if not answers:
        raise InvalidInput("no query has a stranger", "draw tasks with more users")
    voices = voice_values(JudgedPools(answers, halved), folder, tenths, each, ("n-grams",))
    return [_row(prompt, judge, answers, voices) for prompt in (OWN, STRANGER) for judge in (OWN, STRANGER)]


def _combinations(ways: Answering, halved: Halved, drawn: DrawnQuery) -> dict[str, WayAnswer]:
    answers = {}
    for prompt, candidates in ((OWN, drawn.own), (STRANGER, drawn.stranger)):
        at = [text for text in candidates if text.temperature == DRAWN_AT]
        pool = ways.encode(at)
        for judge, histories in (
            (OWN, [halved.query.history]),
            (STRANGER, [other.history for other in _in_turn(halved, drawn.by)]),
        ):
            picks = [chosen(ways.scores(history, halved.query, pool), pool) for history in histories]
            answers[f"{prompt}/{judge}"] = WayAnswer.of([at[pick].text for pick in picks], halved.query.item.output)
    return answers


def _in_turn(halved: Halved, by: int) -> list[Any]:
    """The strangers, the one that stood in the prompt first."""
    return [*halved.strangers[by:], *halved.strangers[:by]]


def _row(
    prompt: str,
    judge: str,
    answers: dict[Key, dict[str, WayAnswer]],
    voices: dict[tuple[str, str], dict[str, Any]],
) -> SwapRow:
    way, base = f"{prompt}/{judge}", f"{OWN}/{OWN}"
    users = [user_of(key) for key in answers]
    lost = Difference.of([one[base].utility - one[way].utility for one in answers.values()], users)
    swapped = {
        user: one.voice["n-grams"]
        for (_, where), by_user in voices.items()
        if where == way
        for user, one in by_user.items()
    }
    own = {
        user: one.voice["n-grams"]
        for (_, where), by_user in voices.items()
        if where == base
        for user, one in by_user.items()
    }
    return SwapRow(
        prompt=prompt,
        judge=judge,
        queries=len(answers),
        users=len(set(users)),
        utility=float(np.mean([one[way].utility for one in answers.values()])),
        lost=lost,
        detects=SEEN * lost.error,
        voice=float(np.mean(list(swapped.values()))) if swapped else float("nan"),
        voice_lost=Difference.of([own[user] - swapped[user] for user in swapped], list(swapped)),
    )
