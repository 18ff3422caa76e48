"""The table that decides: utility and voice of every way to answer, paired differences with intervals over users.

Files of drawn pools are judged once, and what was found is kept beside them. Utility is agreement with what the user
really wrote; voice is told on the scale of `edge_ttp.lab.bench.voice_scale`, by bags of a user's answers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.corpus import Query, queries, tasks_of
from edge_ttp.lab.bench.drawing import DrawnText
from edge_ttp.lab.bench.halves import EACH, Halved, earlier, halved_queries
from edge_ttp.lab.bench.ladders import Difference
from edge_ttp.lab.bench.quality_pools import RESULTS, DrawnQuery
from edge_ttp.lab.bench.quality_ways import CONSENSUS_AT, GREEDY, TTP, Answering, WayAnswer
from edge_ttp.lab.bench.resumable import Resumable
from edge_ttp.lab.bench.voice_scale import VERIFIERS, VoiceScale
from edge_ttp.reward.model import RewardModel

Key = tuple[str, str, int]
Found = dict[Key, dict[str, WayAnswer]]
"""By query: what every way answers."""

REFERENCE = TTP.format(n=CONSENSUS_AT)
"""The way that the others are compared with: what a request does by default, at a fixed number of candidates."""
OWN_TEXTS = "the user's own text"
SMALLEST_BAG = 3
"""Answers of a user that a voice is told from, at least."""
ALL, TRAINED, NOT_TRAINED = "all", "in training", "not in training"
GROUPS = (ALL, TRAINED, NOT_TRAINED)
"""Of tasks: all, those whose pools the reward model was trained on, and the others."""

EVERY = 10**6


@dataclass(frozen=True)
class JudgedPools:
    """One file of pools, judged."""

    answers: Found
    halved: dict[Key, Halved]
    """Queries with a hidden half, whose voice can be told; empty for pools of other kinds."""


def judge(
    reward: RewardModel,
    folder: Path,
    pools: Path,
    tenths: Sequence[int],
    *,
    advance: Callable[[int], None],
    cancel: Event | None = None,
) -> JudgedPools:
    """What every way answers to each query in a file of pools. Kept in FILE.REWARD.ways, and not computed again.

    Raises InvalidInput where the file holds no pools that are known.
    """
    header, drawn = Resumable.read(pools)
    halved: dict[Key, Halved] = {}
    asked: dict[Key, Query] = {}
    if header["results"] == RESULTS:
        each = int(header["each"])
        for one in halved_queries(folder, tasks_of(drawn), tenths=tenths, users=EVERY, each=each):
            if one.query.key in drawn:
                halved[one.query.key], asked[one.query.key] = one, one.query
    elif header["results"] == "temperature pools":
        every = queries(folder, tasks_of(drawn), tenths=tenths, count=EVERY)
        asked = {one.key: one for one in every if one.key in drawn}
    else:
        raise InvalidInput(f"{pools} holds {header['results']}", "give files of `bench quality` or `bench temperature`")
    ways, found = Answering(reward), Found()
    kept = {"results": "ways", "format": 1, "reward": reward.fingerprint}
    with Resumable.append(pools.with_name(f"{pools.name}.{reward.fingerprint}.ways"), kept) as state:
        for number, (key, query) in enumerate(asked.items(), 1):
            if cancel is not None and cancel.is_set():
                break
            if key not in state.done:
                if key in halved:
                    made = ways.of_quality(query, DrawnQuery.of(drawn[key]), halved[key].strangers)
                else:
                    made = ways.of_temperatures(query, [DrawnText.of(one) for one in drawn[key]["candidates"]])
                state.write(key, {"ways": {way: [list(one.texts), one.utility] for way, one in made.items()}})
            answers = state.done[key]["ways"].items()
            found[key] = {way: WayAnswer(tuple(texts), float(value)) for way, (texts, value) in answers}
            advance(number)
    return JudgedPools(found, halved)


@dataclass(frozen=True)
class QualityRow:
    """One way over some tasks. Differences are paired, over queries that both ways answer, users resampled whole."""

    group: str
    """One of GROUPS, or a task."""
    way: str
    queries: int
    users: int
    utility: float
    """Mean over users of their means."""
    over_reference: Difference
    """Utility minus that of the reference way."""
    over_greedy: Difference

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        told = {name: getattr(self, name).as_dict() for name in ("over_reference", "over_greedy")}
        return {**self.__dict__, **told}


def tasks_trained_on(reward: RewardModel) -> frozenset[str]:
    """Tasks whose pools a reward model was trained on, as it says itself."""
    return frozenset(str(file["task"]) for file in reward.config.made.get("files", ()))


def utility_rows(answers: Mapping[Key, Mapping[str, WayAnswer]], trained: Collection[str] = ()) -> list[QualityRow]:
    """Rows of every way, for all tasks, those `trained` on, the others, and each."""
    ways = list(dict.fromkeys(way for answers in answers.values() for way in answers))
    table = []
    for group in (*GROUPS, *tasks_of(answers)):
        for way in ways:
            mine = {key: answers for key, answers in answers.items() if way in answers and _in(group, key[0], trained)}
            if mine:
                table.append(_utility_row(group, way, mine))
    return table


def _in(group: str, task: str, trained: Collection[str]) -> bool:
    return group in (ALL, task) or group == (TRAINED if task in trained else NOT_TRAINED)


def _utility_row(group: str, way: str, mine: Mapping[Key, Mapping[str, WayAnswer]]) -> QualityRow:
    users: dict[str, list[float]] = {}
    for key, answers in mine.items():
        users.setdefault(user_of(key), []).append(answers[way].utility)
    differences = []
    for other in (REFERENCE, GREEDY):
        both = [(user_of(key), one[way].utility - one[other].utility) for key, one in mine.items() if other in one]
        differences.append(Difference.of([value for _, value in both], [user for user, _ in both]))
    utility = float(np.mean([np.mean(values) for values in users.values()]))
    return QualityRow(group, way, len(mine), len(users), utility, *differences)


def user_of(key: Key) -> str:
    """The user of a query, whichever half of their history it saw; a user of two tasks is two."""
    return f"{key[0]}/{key[1].removesuffix('/0').removesuffix('/1')}"


@dataclass(frozen=True)
class VoiceQuality:
    """How much one way's answers sound like their users, over some tasks, above strangers' texts."""

    group: str
    way: str
    users: int
    bag: float
    """Answers in a bag, on average."""
    voice: dict[str, float]
    """By verifier, mean over users: 0 is a stranger's own text."""
    human: float
    """Likeness to people's texts in general, 0 to 1."""
    over_reference: dict[str, Difference]
    """By verifier, paired over users."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self.__dict__, "over_reference": {name: one.as_dict() for name, one in self.over_reference.items()}}


@dataclass(frozen=True)
class UserVoice:
    """What one user's answers by one way got."""

    texts: int
    voice: dict[str, float]
    """By verifier."""
    human: float


def voice_rows(
    judged: JudgedPools, folder: Path, tenths: Sequence[int], each: int = EACH, *, trained: Collection[str] = ()
) -> list[VoiceQuality]:
    """Rows of every way whose answers have a hidden half to be compared with. One answer of each query counts."""
    scores = voice_values(judged, folder, tenths, each, VERIFIERS)
    ways = list(dict.fromkeys(way for _, way in scores))
    tasks = sorted({task for task, _ in scores})
    table = []
    for group in (*GROUPS, *tasks):
        by_way = {way: _together(scores, way, [task for task in tasks if _in(group, task, trained)]) for way in ways}
        table += [_voice_row(group, way, users, by_way.get(REFERENCE, {})) for way, users in by_way.items() if users]
    return table


def voice_values(
    judged: JudgedPools, folder: Path, tenths: Sequence[int], each: int, verifiers: Sequence[str]
) -> dict[tuple[str, str], dict[str, UserVoice]]:
    """By task and way: what each user's answers got."""
    bags = _bags(judged)
    scores: dict[tuple[str, str], dict[str, UserVoice]] = {}
    for task in sorted({task for task, _, _ in bags}):
        mine = {(user, way): pair for (where, user, way), pair in bags.items() if where == task}
        size = max(SMALLEST_BAG, round(float(np.median([len(bag) for pair in mine.values() for bag in pair.values()]))))
        scale = VoiceScale(earlier(folder, task, tenths=tenths, each=each), size, verifiers)
        for (user, way), pair in mine.items():
            told = {
                name: float(np.mean([scale.voice(bag, user, hidden, name) for hidden, bag in pair.items()]))
                for name in verifiers
            }
            human = float(np.mean([scale.human(bag) for bag in pair.values()]))
            scores.setdefault((task, way), {})[f"{task}/{user}"] = UserVoice(sum(map(len, pair.values())), told, human)
    return scores


def _together(
    scores: Mapping[tuple[str, str], Mapping[str, UserVoice]], way: str, tasks: Sequence[str]
) -> dict[str, UserVoice]:
    return {user: one for task in tasks for user, one in scores.get((task, way), {}).items()}


def _bags(judged: JudgedPools) -> dict[tuple[str, str, str], dict[int, list[str]]]:
    """By task, user and way: the answers by the half that was hidden from them."""
    bags: dict[tuple[str, str, str], dict[int, list[str]]] = {}
    for key, one in judged.halved.items():
        answers = {way: found.texts[0] for way, found in judged.answers.get(key, {}).items()}
        if answers:
            answers[OWN_TEXTS] = one.query.item.output
        for way, text in answers.items():
            bags.setdefault((key[0], one.user, way), {}).setdefault(1 - one.half, []).append(text)
    return {key: pair for key, pair in bags.items() if len(pair) == 2 and min(map(len, pair.values())) >= SMALLEST_BAG}


def _voice_row(
    group: str, way: str, users: Mapping[str, UserVoice], reference: Mapping[str, UserVoice]
) -> VoiceQuality:
    both = [user for user in users if user in reference]
    return VoiceQuality(
        group=group,
        way=way,
        users=len(users),
        bag=float(np.mean([one.texts for one in users.values()])),
        voice={name: float(np.mean([one.voice[name] for one in users.values()])) for name in VERIFIERS},
        human=float(np.mean([one.human for one in users.values()])),
        over_reference={
            name: Difference.of([users[user].voice[name] - reference[user].voice[name] for user in both], both)
            for name in VERIFIERS
        },
    )
