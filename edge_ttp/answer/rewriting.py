"""A text said again in the user's way: N versions of it, its facts kept, by paragraphs with one voice across them.

The examples are the user's own texts with a plain version of each as what was given (answer/outline.py). Under
`keep="words"` drawing follows a grammar by which every word that says something stays (answer/word_lock.py); under
`strict` facts are masked while versions are drawn, and put back. One version more is edited by rule
(answer/by_rule.py): it keeps every fact, so that a sound one is always there. A version that loses or adds one is
marked down.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from edge_ttp import schema
from edge_ttp.answer import choosing, ending, prepare, record, waves
from edge_ttp.answer.ask import DEFAULT_EXAMPLES, Ask, Policy, Rooms
from edge_ttp.answer.by_rule import ByRule, agreed
from edge_ttp.answer.facts import compared, in_words, signatures
from edge_ttp.answer.lengths import AnswerLengths
from edge_ttp.answer.masks import Masked, masked
from edge_ttp.answer.plain_examples import examples
from edge_ttp.answer.prompt import Example
from edge_ttp.answer.recollection import Recollection, recollect
from edge_ttp.answer.select import Choice
from edge_ttp.answer.surface import Habits
from edge_ttp.answer.text_parts import parts
from edge_ttp.answer.word_diff import changes
from edge_ttp.history import History
from edge_ttp.policy.job import Paused
from edge_ttp.reward.model import Scores
from edge_ttp.reward.user_profile import HISTORY_ITEMS

EARLIER_PARTS = 2
"""Parts that the next one is shown, as they were given and said."""
VERSIONS = 8
"""Versions of a text of several parts; each part is chosen among all that were drawn of it."""
BY_RULE = "no version that was drawn keeps every fact: {} was edited by rule alone"
UNCHANGED = "no version keeps every fact: {} stayed as it was"
REPEATED = "says it as it was given"
FREELY = "its language has no list of small words: versions are drawn freely, facts checked"

_ROOM = {False: 1.5, True: 3.0}
"""A version may be longer than the text by this factor; notes grow more."""
_MORE_TOKENS = 24
_NOTHING_SAID = 1_000_000
"""Facts that an empty version counts as losing."""
_DRAFT = "The user is given a text. Say the same in the user's own words"
_NOTES = "The user is given notes. Write them out in the user's own words"
_KEEP = "every fact, number, name and date as it is given, and nothing else."
_MARKS = "Marks such as [F1] stand for something: leave each where it belongs."


@dataclass(frozen=True)
class _SaidPart:
    """A part of the text, said again."""

    given: str
    shown: Example
    """As the policy was given it, and what it chose to say, marks included."""
    versions: tuple[schema.Candidate, ...]
    """In the order they were drawn; the part itself last, where it had to stay."""
    scores: Scores | None
    chosen: choosing.Selected
    end: ending.Ending
    prepared: prepare.Prepared
    drawing: waves.Drawing

    @property
    def text(self) -> str:
        """What stands for the part in the answer."""
        return self.versions[self.chosen.choice.index].text

    def ranked(self) -> list[str]:
        """The versions' texts, the chosen one first, the others by their scores."""
        first = self.chosen.choice.index
        order = sorted(range(len(self.versions)), key=lambda at: (at != first, -float(self.chosen.choice.scores[at])))
        return [self.versions[at].text for at in order]


def rewriting(rooms: Rooms, ask: Ask) -> Paused[schema.Generation]:
    """The text of `ask` in the user's words: like `answering`, which it is a part of."""
    began = time.monotonic()
    deadline = None if ask.budget.deadline_s is None else began + ask.budget.deadline_s
    seed = secrets.randbelow(2**31) if ask.seed is None else ask.seed
    known = _recollected(rooms, ask)
    said = [item.output for item in known.recent]
    own, habits = signatures(said), Habits.of(said)
    planned = time.monotonic()

    texts = parts(ask.prompt)
    if len(texts) > 1:
        ask.tell(schema.Event(type="selected", candidate=0))  # the first version is the chosen one of every part
    done: list[_SaidPart] = []
    for number, (given, after) in enumerate(texts):
        until = _part_deadline(deadline, [len(one) for one, _ in texts[number:]])
        shown = [part.shown for part in done[-EARLIER_PARTS:]]
        draw = _Drawn(rooms, ask, known, habits, own, given, alone=len(texts) == 1)
        part = yield from draw.part(shown, seed=(seed + number) % 2**63, deadline=until)
        done.append(part)
        if len(texts) > 1:
            ask.tell(schema.Event(type="delta", candidate=0, text=part.text + after))
    drawn = time.monotonic()

    made = _whole(rooms, ask, done, [after for _, after in texts])
    ask.tell(schema.Event(type="scored", n=len(made.drawing.candidates)))
    index = made.chosen.choice.index
    if len(texts) == 1 and (ask.n != 1 or index != 0 or _strict(ask)):
        ask.tell(schema.Event(type="selected", candidate=index, text=made.drawing.candidates[index].text))
    marks = record.Marks(began, planned, drawn, time.monotonic())
    answered = record.Answered(
        ask, done[0].prepared, made.drawing, made.chosen, made.end, marks, seed, secrets.token_hex(6)
    )
    generation = record.generation(rooms, answered)
    generation = record.keep(rooms, generation, made.drawing.scores, began=began, deadline=deadline)
    if len(done) == 1:
        record.observe(rooms, done[0].prepared, done[0].drawing, generation.timings)
    last = schema.Event(type="done", text=generation.text, candidate=generation.chosen, generation=generation)
    try:
        ask.tell(last)
    except BaseException:
        record.take_back(rooms, generation)  # the caller gets no text, so there must be none to judge
        raise
    return generation


def described(history: History, made: schema.Generation) -> schema.Rewritten:
    """A rewriting with what came of its facts, and what changed."""
    recent = history.items(made.user, kind=made.kind, limit=HISTORY_ITEMS, prompts=False)
    own = signatures([item.output for item in recent])
    return schema.Rewritten(
        text=made.text,
        generation=made,
        facts=tuple(compared(made.prompt, one.text, own=own) for one in made.candidates),
        changes=changes(made.prompt, made.text),
    )


def instruction(*, notes: bool, strict: bool, system: str | None = None) -> str:
    """What the policy is told of a rewriting, with what the caller wants observed besides."""
    said = (f"{_NOTES if notes else _DRAFT}: {_KEEP}", _MARKS if strict else "", system or "")
    return " ".join(one for one in said if one)


def _strict(ask: Ask) -> bool:
    return ask.rewrite is not None and ask.rewrite.keep == "strict"


def _words(ask: Ask) -> bool:
    return ask.rewrite is not None and ask.rewrite.keep == "words"


def _notes(ask: Ask) -> bool:
    return ask.rewrite is not None and ask.rewrite.notes


def _recollected(rooms: Rooms, ask: Ask) -> Recollection:
    """What is known of the user, with pairs of plain and own texts as examples."""
    count = DEFAULT_EXAMPLES if ask.examples is None else ask.examples
    known = recollect(rooms, replace(ask, examples=0))
    text = ask.prompt if ask.recall_for is None else ask.recall_for
    shown = examples(rooms, ask, text, count, depth="words" if _notes(ask) else "flat", strict=_strict(ask))
    return replace(known, examples=shown)


def _part_deadline(deadline: float | None, lengths: Sequence[int]) -> float | None:
    """When the first of parts of these lengths has to be done, so that the others get their share."""
    if deadline is None:
        return None
    now = time.monotonic()
    return now + max(0.0, deadline - now) * lengths[0] / max(1, sum(lengths))


@dataclass(frozen=True)
class _Drawn:
    """Draws versions of one part."""

    rooms: Rooms
    ask: Ask
    known: Recollection
    habits: Habits | None
    own: frozenset[str]
    given: str
    alone: bool
    """Whether it is the whole text."""

    def part(self, shown: Sequence[Example], *, seed: int, deadline: float | None) -> Paused[_SaidPart]:
        """The part, chosen. `shown`: the parts before it."""
        rooms, strict = self.rooms, _strict(self.ask)
        hidden = masked(self.given) if strict else None
        asked = self._asked(hidden, shown)
        prepared = prepare.prepare(
            rooms, asked, deadline, recollection=self.known, lengths=self._lengths(rooms.policy, asked.prompt)
        )
        asked.tell(schema.Event(type="planned", n=prepared.plan.n))
        single = asked.n == 1 and self.alone and not strict  # told as the answer while it is drawn
        if single:
            asked.tell(schema.Event(type="selected", candidate=0))
        drawing = yield from waves.draw(rooms, asked, prepared, seed=seed, deadline=deadline)
        versions = [self._restored(one, hidden) for one in drawing.candidates]
        if not single:
            versions += self._rule.versions(versions, locked=asked.lock is not None)
        drawn_only = hidden is None and len(versions) == len(drawing.candidates)
        scores = drawing.scores if drawn_only else _scored(rooms, self.known, self.given, versions)
        against = self._against(versions)
        chosen = choosing.choose(self.ask.rule, versions, scores, seed=seed, against=against)
        choice = agreed(self.ask.rule, chosen.choice, versions, [one is None for one in against])
        index = choice.index
        end, said = ending.Ending(versions[index]), versions[index].text
        if versions[index].made == "drawn":
            end = yield from ending.end(rooms, asked, prepared, drawing, index, deadline=deadline)
            said = end.candidate.text
            versions[index] = self._restored(end.candidate, hidden)
        if single and end.added:
            asked.tell(schema.Event(type="delta", candidate=0, text=end.added))
        notes = self._notes(versions, index, chosen.notes, free=asked.lock is None)
        chosen = replace(chosen, choice=choice, notes=notes)
        end = replace(end, candidate=versions[index])
        return _SaidPart(self.given, (asked.prompt, said), tuple(versions), scores, chosen, end, prepared, drawing)

    @cached_property
    def _rule(self) -> ByRule:
        """What can be made of the part without drawing."""
        said = tuple(item.output for item in self.known.recent)
        return ByRule(self.given, said, self.habits, self.own, _notes(self.ask))

    def _notes(
        self, versions: Sequence[schema.Candidate], index: int, notes: Sequence[str], *, free: bool
    ) -> tuple[str, ...]:
        """What the user should know of how the part was chosen."""
        said = [one for one in notes if not one.startswith("the answer ")]
        if free and _words(self.ask):
            said.append(FREELY)
        lost = in_words(compared(self.given, versions[index].text, own=self.own))
        if lost:
            said.append(f"the answer {lost}: no version keeps every fact")
        elif versions[index].made == "edited" and not any(
            compared(self.given, one.text, own=self.own).sound for one in versions if one.made == "drawn"
        ):
            which = "the text" if self.alone else f"the part {self.given[:30]!r}"
            said.append((UNCHANGED if versions[index].text == self.given else BY_RULE).format(which))
        return tuple(said)

    def _asked(self, hidden: Masked | None, shown: Sequence[Example]) -> Ask:
        asked = replace(
            self.ask,
            prompt=self.given if hidden is None else hidden.text,
            system=instruction(notes=_notes(self.ask), strict=hidden is not None, system=self.ask.system),
            turns=(*self.ask.turns, *shown),
            rewrite=None,
            emit=self._emit(hidden),
        )
        free = not _words(self.ask) or self.rooms.policy_url is not None
        return asked if free or (grammar := self._rule.lock()) is None else replace(asked, lock=grammar)

    def _emit(self, hidden: Masked | None) -> Callable[[schema.Event], None] | None:
        """Whom the events of drawing this part are told: of parts and marks nobody hears as they are drawn."""
        emit = self.ask.emit
        if emit is None or (self.alone and hidden is None):
            return emit
        heard = ("queued", "planned", "progress", "finished", "dropped") if self.alone else ("queued", "progress")

        def tell(event: schema.Event) -> None:
            if event.type in heard:
                text = event.text if hidden is None or event.text is None else hidden.put_back(event.text)
                emit(event.model_copy(update={"text": text}))

        return tell

    def _lengths(self, policy: Policy, prompt: str) -> AnswerLengths:
        given = policy.count_tokens(prompt)
        most = self.ask.sampling.max_tokens or round(given * _ROOM[_notes(self.ask)]) + _MORE_TOKENS
        own = (given,)
        several_lines = "\n" in self.given or any("\n" in written for _, written in self.known.examples)
        return AnswerLengths((most,), min(most, given + _MORE_TOKENS), own, several_lines)

    @staticmethod
    def _restored(candidate: schema.Candidate, hidden: Masked | None) -> schema.Candidate:
        return candidate if hidden is None else candidate.model_copy(update={"text": hidden.put_back(candidate.text)})

    def _against(self, versions: Sequence[schema.Candidate]) -> list[str | None]:
        """What speaks against each version. Where none is sound, against all but those that are least wrong."""
        checks = [compared(self.given, one.text, own=self.own) for one in versions]
        wrong = [
            len(check.missing) + len(check.added) if one.text.strip() else _NOTHING_SAID
            for check, one in zip(checks, versions, strict=True)
        ]
        least = min(wrong)
        said = [in_words(check) if count > least else None for check, count in zip(checks, wrong, strict=True)]
        same = [one.text == self.given.strip() for one in versions]
        if versions[-1].made == "edited" and not same[-1]:  # which is sound: there is something better than to repeat
            said = [REPEATED if again else remark for again, remark in zip(same, said, strict=True)]
        return said


def _scored(rooms: Rooms, known: Recollection, given: str, versions: Sequence[schema.Candidate]) -> Scores | None:
    if rooms.reward is None or known.profile is None or known.learned is None:
        return None
    return rooms.reward.score(known.profile, given, versions, known.learned.weights)


@dataclass(frozen=True)
class _Whole:
    """All parts together, as one drawing."""

    drawing: waves.Drawing
    chosen: choosing.Selected
    end: ending.Ending


def _whole(rooms: Rooms, ask: Ask, done: Sequence[_SaidPart], between: Sequence[str]) -> _Whole:
    """The versions of the whole text; of several parts the first version is made of their chosen ones."""
    first = done[0]
    if len(done) == 1:
        sampled = replace(first.drawing.sampled, candidates=first.versions)
        wanted = first.drawing.wanted + len(first.versions) - len(first.drawing.candidates)
        return _Whole(
            replace(first.drawing, sampled=sampled, scores=first.scores, wanted=wanted), first.chosen, first.end
        )
    ranks = [part.ranked() for part in done]
    count = min(VERSIONS, max(len(rank) for rank in ranks))
    versions = []
    for place in range(count):
        pieces = [rank[min(place, len(rank) - 1)] + after for rank, after in zip(ranks, between, strict=True)]
        tokens = sum(sum(one.tokens for one in part.versions) for part in done) if place == 0 else 0
        versions.append(schema.Candidate(text="".join(pieces), tokens=tokens, logprob=0.0, seed=place))
    scores = _scored(rooms, first.prepared.recollection, ask.prompt, versions)
    values = choosing.choose(ask.rule, versions, scores, seed=0).choice.scores
    reason = f"the chosen versions of {len(done)} parts"
    notes = tuple(dict.fromkeys(note for part in done for note in part.chosen.notes))
    chosen = choosing.Selected(Choice(0, values, first.chosen.choice.rule, reason), notes, (None,) * count)
    runs = [part.drawing for part in done]
    sampled = replace(
        first.drawing.sampled,
        candidates=tuple(versions),
        prompt_tokens=sum(run.sampled.prompt_tokens for run in runs),
        cached_tokens=sum(run.sampled.cached_tokens for run in runs),
        prefill_s=sum(run.sampled.prefill_s for run in runs),
        decode_s=sum(run.sampled.decode_s for run in runs),
        sample_s=sum(run.sampled.sample_s for run in runs),
        rows=sum(run.sampled.rows for run in runs),
    )
    drawing = replace(first.drawing, sampled=sampled, scores=scores, wanted=count)
    ends = [part.end for part in done]
    end = ending.Ending(
        versions[0],
        tuple(dict.fromkeys(note for one in ends for note in one.notes)),
        prefill_s=sum(one.prefill_s for one in ends),
        decode_s=sum(one.decode_s for one in ends),
    )
    return _Whole(drawing, chosen, end)
