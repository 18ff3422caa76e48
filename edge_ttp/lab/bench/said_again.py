"""How well texts are said again: the plain version itself, greedy, best of N by several rules, with or without adapter.

The text to be found is what the user really wrote; given is its plain version (answer/outline.py). The text itself and
its near duplicates are hidden from recall, as they are for any rewriting. What is drawn is kept, so that a measurement
goes on where it was, and every rule chooses from the same pool.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any, Literal

import numpy as np

from edge_ttp.answer.ask import NO_ADAPTER
from edge_ttp.answer.by_rule import ByRule, agreed
from edge_ttp.answer.facts import compared, signatures
from edge_ttp.answer.outline import Depth, outline, stiff
from edge_ttp.answer.select import Choice, Pool, select
from edge_ttp.answer.surface import Habits
from edge_ttp.lab.bench.corpus import Query, seed_of
from edge_ttp.lab.bench.drawing import owner_of
from edge_ttp.lab.bench.ladders import Difference
from edge_ttp.lab.bench.resumable import Key, Resumable
from edge_ttp.lab.bench.voice_score import Verifier
from edge_ttp.learning.sent import edits
from edge_ttp.reward.user_profile import HISTORY_ITEMS
from edge_ttp.reward.utility import agreement_matrix, utility
from edge_ttp.runtime import Runtime
from edge_ttp.schema import Budget, Candidate, Keep, Rule, Sampling

Plainness = Literal[Depth, "stiff"]
"""How plain the given version is; `stiff`: as another model might have written it."""
GIVEN = "as given"
EDITED = "edited, nothing drawn"
RULES: tuple[Rule, ...] = ("lcb", "mean", "consensus", "logprob")
"""Rules that choose from the same pool. `lcb` stands for what the runtime does: consensus where the reward model knows
nothing of such texts."""
DRAWN = "drawn"
"""`consensus` of what was drawn, without the versions that are merged or edited."""
_EARLIER = 200
"""Newest items of a user that the measurement's history holds: what is recalled from."""
_BAG = 8
"""Most outputs of a user whose voice is scored together."""


@dataclass(frozen=True)
class Way:
    """How texts are said again."""

    name: str
    adapter: str
    """Its name or file; NO_ADAPTER."""
    n: int | None
    """None: as many as the seconds allow. 0: the greedy answer alone."""
    temperature: float | None = None
    """None: as the policy or the adapter has it."""
    deadline_s: float | None = None

    @property
    def sampling(self) -> Sampling:
        """What the runtime is asked to draw with."""
        if self.n == 0:
            return Sampling(temperature=0)
        return Sampling() if self.temperature is None else Sampling(temperature=self.temperature)


@dataclass(frozen=True)
class Saying:
    """What is measured: the queries and how plain their texts are made."""

    queries: Sequence[Query]
    depth: Plainness = "words"
    keep: Keep = "words"

    def given(self, query: Query) -> str:
        """The plain version of a query's text; empty where nothing is left of it."""
        written = query.item.output
        return stiff(written) if self.depth == "stiff" else outline(written, self.depth)

    @property
    def notes(self) -> bool:
        """Whether what is given are notes."""
        return self.depth in ("words", "sparse")


@dataclass(frozen=True)
class SaidAgain:
    """One text, said again in one way."""

    task: str
    user: str
    place: int
    way: str
    text: str
    utility: float
    """Against the text that was really written, 0 to 1."""
    kept: bool
    """Whether every fact of what was given stands, and none was added."""
    edits: float
    """Characters to edit to get to the true text, for each character of it."""
    seconds: float


def ways(
    n: int | None,
    seconds: float | None,
    adapter: str | None,
    temperatures: Sequence[float | None] = (None,),
    *,
    stock: bool = True,
) -> list[Way]:
    """Greedy and best of N (`n`, or what `seconds` allow): of the policy as it is (`stock`), and with the adapter."""
    found = []
    for who, one in (("stock", NO_ADAPTER), ("adapter", adapter)):
        if one is not None and (stock or who == "adapter"):
            found.append(Way(f"{who} greedy", one, 0, deadline_s=seconds))
            for warm in temperatures:
                said = "" if warm is None else f" T={warm:g}"
                found.append(Way(f"{who}{said}", one, n, warm, seconds))
    return found


def draw(
    saying: Saying,
    files: Sequence[tuple[Way, Path, Mapping[str, Any]]],
    *,
    options: Mapping[str, Any],
    advance: Callable[[int], None],
    cancel: Event | None = None,
) -> dict[str, dict[Key, dict[str, Any]]]:
    """By way, the candidates of every query in its file, those that it lacks drawn now. `options`: of Runtime.open.

    A query is drawn in all ways before the next one: its prompt is read once for all that share an adapter. Raises
    InvalidInput where a file was made in another way than its header says.
    """
    with ExitStack() as opened:
        states = {
            way: opened.enter_context(Resumable.append(file, {"results": "said again", "format": 1, **header}))
            for way, file, header in files
        }
        folder = opened.enter_context(TemporaryDirectory(prefix="edge-ttp-bench-"))
        runtime = opened.enter_context(Runtime.open(home=folder, **options))
        for number, query in enumerate(saying.queries, 1):
            if cancel is not None and cancel.is_set():
                break
            missing = [way for way, state in states.items() if query.key not in state.done]
            if saying.given(query) and missing:
                user = f"{owner_of(query)}/{query.place}"
                runtime.history.add_many(
                    one.model_copy(update={"id": None, "user_id": user, "kind": query.task})
                    for one in query.history[-_EARLIER:]
                    if one.output.strip()
                )
                for way in missing:
                    found = _drawn(runtime, saying, query, way, user=user, cancel=cancel)
                    if cancel is None or not cancel.is_set():
                        states[way].write(query.key, found)
            advance(number)
        wanted = {query.key for query in saying.queries}
        return {
            way.name: {key: line for key, line in state.done.items() if key in wanted} for way, state in states.items()
        }


def _drawn(
    runtime: Runtime, saying: Saying, query: Query, way: Way, *, user: str, cancel: Event | None
) -> dict[str, Any]:
    """What is kept of one query drawn in one way."""
    made = runtime.rewrite(
        saying.given(query),
        notes=saying.notes,
        keep=saying.keep,
        user=user,
        kind=query.task,
        n=1 if way.n == 0 else way.n,
        select="lcb",
        sampling=way.sampling,
        adapter=way.adapter,
        budget=Budget(deadline_s=way.deadline_s),
        seed=seed_of(query) % 2**31,
        store=False,
        cancel=cancel,
    ).generation
    return {
        "seconds": round(made.timings.total_s, 2),
        "chosen": made.chosen,
        "candidates": [_kept(one) for one in made.candidates],
    }


def judged(saying: Saying, drawn: Mapping[str, Mapping[Key, Mapping[str, Any]]]) -> list[SaidAgain]:
    """What every way and rule makes of each query that all ways were drawn for. `drawn`: by the way's name."""
    rows: list[SaidAgain] = []
    for query in saying.queries:
        given, written = saying.given(query), query.item.output
        lines = {name: lines[query.key] for name, lines in drawn.items() if query.key in lines}
        if len(lines) < len(drawn) or not given:
            continue
        own = signatures([one.output for one in query.history])
        said: list[tuple[str, str, float]] = [(GIVEN, given, 0.0)]
        for name, line in lines.items():
            candidates = [Candidate.model_validate(one) for one in line["candidates"]]
            seconds = float(line["seconds"])
            if name.endswith("greedy"):
                said.append((name, candidates[line["chosen"]].text, seconds))
                continue
            for rule in RULES:
                said.append((f"{name}, {rule}", candidates[_choice(candidates, rule, line["chosen"])].text, seconds))
            drawn_alone = [one for one in candidates if one.made == "drawn"]
            said.append((f"{name}, {DRAWN}", drawn_alone[_consensus(drawn_alone).index].text, seconds))
            for made in ("merged", "edited"):
                found_made = [one.text for one in candidates if one.made == made]
                said.append((f"{name}, {made}", (found_made or [candidates[line["chosen"]].text])[0], seconds))
            best = max(candidates, key=lambda one: utility(one.text, written))
            said.append((f"{name}, oracle", best.text, seconds))
        rows += [_said(query, given, own, one) for one in said]
    return rows


def _said(query: Query, given: str, own: frozenset[str], made: tuple[str, str, float]) -> SaidAgain:
    """The way, text and seconds that were `made` of a query, measured. `own`: names that may be added."""
    (way, text, seconds), written = made, query.item.output
    return SaidAgain(
        query.task,
        query.item.user_id,
        query.place,
        way,
        text,
        utility(text, written),
        compared(given, text, own=own).sound,
        edits(text.strip(), written.strip()) / max(1, len(written.strip())),
        seconds,
    )


def by_rule(saying: Saying) -> list[SaidAgain]:
    """What is made of each query without drawing: the text as it is given, and the edited version."""
    rows: list[SaidAgain] = []
    for query in saying.queries:
        given = saying.given(query)
        if not given:
            continue
        said = tuple(one.output for one in reversed(query.history[-_EARLIER:]) if one.output.strip())[:HISTORY_ITEMS]
        own = signatures([one.output for one in query.history])
        began = time.perf_counter()
        made = ByRule(given, said, Habits.of(said), own, saying.notes).edited()
        seconds = time.perf_counter() - began
        rows += [_said(query, given, own, one) for one in ((GIVEN, given, 0.0), (EDITED, made, seconds))]
    return rows


def table(
    said: Sequence[SaidAgain], reference: str = GIVEN, heard: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """By way, in their order: means, and what the way has over `reference`, paired, users resampled.

    `heard`: the voice of each way (`voices`).
    """
    rows = []
    before = {(one.task, one.user, one.place): one.utility for one in said if one.way == reference}
    for way in dict.fromkeys(one.way for one in said):
        of_way = [one for one in said if one.way == way]
        over = Difference.of(
            [one.utility - before[one.task, one.user, one.place] for one in of_way],
            [f"{one.task}/{one.user}" for one in of_way],
        )
        rows.append(
            {
                "way": way,
                "texts": len(of_way),
                "users": len({(one.task, one.user) for one in of_way}),
                "utility": float(np.mean([one.utility for one in of_way])),
                "over": over.as_dict(),
                "facts_kept": float(np.mean([one.kept for one in of_way])),
                "edits": float(np.mean([one.edits for one in of_way])),
                "seconds": float(np.mean([one.seconds for one in of_way])),
                "voice": None if heard is None else heard.get(way),
            }
        )
    return rows


def voices(saying: Saying, said: Sequence[SaidAgain]) -> dict[str, float]:
    """Way -> how often a user's outputs sound more like them than like another user of the task, 0 to 1.

    Content words are shapes (voice_score.py). The users' earlier texts tell their voices; tasks of fewer than three
    users are left out. Chance is .5; what the users really wrote is the row `written`.
    """
    scores: dict[str, list[float]] = {}
    for name in dict.fromkeys(query.task for query in saying.queries):
        earlier = {
            query.item.user_id: [one.output for one in query.history if one.output.strip()]
            for query in saying.queries
            if query.task == name
        }
        if len(earlier) < 3:
            continue
        verifier = Verifier(earlier)
        written = {
            (query.item.user_id, query.place): query.item.output for query in saying.queries if query.task == name
        }
        bags: dict[tuple[str, str], list[str]] = {}
        for one in said:
            if one.task == name:
                bags.setdefault((one.way, one.user), []).append(one.text)
                if one.way == GIVEN:
                    bags.setdefault(("written", one.user), []).append(written[one.user, one.place])
        for (way, user), outputs in bags.items():
            scores.setdefault(way, []).append(verifier.score(outputs[:_BAG], user, verifier.users))
    return {way: float(np.mean(values)) for way, values in scores.items()}


def file_of(folder: Path, way: Way, header: Mapping[str, Any]) -> Path:
    """Where what is drawn in this way is kept."""
    key = hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()[:12]
    return folder / f"{way.name.replace(' ', '-').replace('=', '')}-{key}.jsonl"


def _choice(candidates: Sequence[Candidate], rule: Rule, chosen: int) -> int:
    """The place of the candidate that `rule` takes; `chosen` is the runtime's own."""
    if rule == "consensus":
        usable = [one.remark is None for one in candidates]
        return agreed(rule, _consensus(candidates), candidates, usable).index
    if rule == "lcb" or any(one.mean is None or one.epistemic is None for one in candidates):
        return chosen
    pool = Pool(
        logprob=np.array([one.logprob for one in candidates]),
        tokens=np.array([one.tokens for one in candidates]),
        complete=np.array([one.finish_reason == "stop" and bool(one.text) for one in candidates]),
        marked=np.array([one.remark is not None for one in candidates]),
        mean=np.array([one.mean for one in candidates], dtype=np.float64),
        epistemic=np.array([one.epistemic for one in candidates], dtype=np.float64),
        similarity=agreement_matrix([one.text for one in candidates]),
    )
    return select(pool, rule).index


def _consensus(candidates: Sequence[Candidate]) -> Choice:
    """The candidate that agrees most with the others, of those that nothing speaks against."""
    pool = Pool(
        logprob=np.array([one.logprob for one in candidates]),
        tokens=np.array([one.tokens for one in candidates]),
        complete=np.array([one.finish_reason == "stop" and bool(one.text) for one in candidates]),
        marked=np.array([one.remark is not None for one in candidates]),
        similarity=agreement_matrix([one.text for one in candidates]),
    )
    return select(pool, "consensus")


def _kept(candidate: Candidate) -> dict[str, Any]:
    """What is kept of a candidate."""
    fields = ("text", "tokens", "logprob", "finish_reason", "mean", "epistemic", "remark", "made")
    return candidate.model_dump(mode="json", include=set(fields))


def groups(said: Sequence[SaidAgain], left_out: Sequence[str]) -> Iterator[tuple[str, list[SaidAgain]]]:
    """The results of the tasks that the adapter was trained on, of those left out, and of each task alone."""
    yield "tasks in training", [one for one in said if one.task not in left_out]
    yield "tasks left out", [one for one in said if one.task in left_out]
    for task in dict.fromkeys(one.task for one in said):
        yield task, [one for one in said if one.task == task]
