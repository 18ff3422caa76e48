"""Racing in an answer: who goes on, that the dropped are neither chosen nor scored, and that they teach nothing."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import FakePolicy, FakeReward, endless, rooms

from answer.requests import SHORT, ask
from edge_ttp.answer import generate, race
from edge_ttp.history import History
from edge_ttp.schema import Candidate, Event, Generation, Sampling

RACED = SHORT.model_copy(update={"race": True})


@pytest.fixture(autouse=True)
def short_race(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of these tests have eight words."""
    monkeypatch.setattr(race, "CHECKPOINTS", (2, 4))
    monkeypatch.setattr(race, "LONG", 4)


def apples(text: str) -> float:
    """A judge who counts apples, in beginnings too."""
    return 0.1 + 0.1 * text.split().count("apple")


def answer(history: History, sampling: Sampling = RACED, *, n: int = 12, **fields: object) -> Generation:
    return generate(
        rooms(history, FakePolicy(table=endless), FakeReward(judge=apples)), ask(n=n, sampling=sampling, **fields)
    )


def test_half_go_on_at_each_checkpoint_and_only_they_are_scored(history: History) -> None:
    events: list[Event] = []
    made = answer(history, emit=events.append)
    ended = [one.finish_reason for one in made.candidates]
    assert (ended.count("raced"), ended.count("length")) == (9, 3)
    assert sorted({one.tokens for one in made.candidates if one.finish_reason == "raced"}) == [2, 4]
    for one in made.candidates:
        assert (one.mean is None) == (one.score is None) == (one.finish_reason == "raced")
    best = max((one for one in made.candidates if one.mean is not None), key=lambda one: one.mean or 0)
    assert made.candidates[made.chosen].text == best.text == made.text
    assert made.plan.decisions == ("of 12 beginnings the 6 best go on", "of 6 beginnings the 3 best go on")
    assert sum(event.type == "dropped" for event in events) == 9
    assert Generation.model_validate_json(made.model_dump_json()) == made
    assert history.generation(made.generation_id).candidates == made.candidates


def test_without_being_asked_nobody_races_and_the_same_seed_says_the_same(history: History) -> None:
    plain = answer(history, SHORT)
    raced = answer(history)
    assert all(one.finish_reason == "length" for one in plain.candidates)
    for one, other in zip(plain.candidates, raced.candidates, strict=True):
        assert one.text.startswith(other.text)


@pytest.mark.parametrize("why", ["few", "short", "another rule", "no judge"])
def test_where_it_does_not_pay_nobody_races(history: History, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if why == "short":
        monkeypatch.setattr(race, "LONG", 60)
    reward = None if why == "no judge" else FakeReward(judge=apples)
    rule = {"another rule": "consensus", "no judge": "first"}.get(why, "lcb")
    asked = ask(n=race.LEAST_N - 1 if why == "few" else 12, sampling=RACED, rule=rule)
    made = generate(rooms(history, FakePolicy(table=endless), reward), asked)
    assert "raced" not in [one.finish_reason for one in made.candidates]


def test_a_generation_with_dropped_candidates_teaches_nothing(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bool] = []
    record = History.record

    def note(self: History, made: Generation, **fields: object) -> None:
        kept.append(fields["layer"] is not None)
        record(self, made, **fields)  # type: ignore[arg-type]

    monkeypatch.setattr(History, "record", note)
    answer(history, SHORT)
    answer(history)
    assert kept == [True, False]


def test_no_rule_takes_a_dropped_candidate_even_where_nothing_else_is_complete() -> None:
    reward = FakeReward(judge=apples)
    said = reward.score([], "", _candidates(3))
    wide = race.among(said, [0, 2, 4], 5)
    assert np.isneginf(wide.mean[[1, 3]]).all()
    agreement = (wide.similarity.sum(axis=1) - np.diag(wide.similarity)) / 4
    assert np.isneginf(agreement[[1, 3]]).all()
    assert np.isfinite(agreement[[0, 2, 4]]).all()
    assert (wide.similarity[np.ix_([0, 2, 4], [0, 2, 4])] == said.similarity).all()


def _candidates(count: int) -> list[Candidate]:
    return [Candidate(text="apple " * (place + 1), tokens=place + 1, logprob=-1.0) for place in range(count)]
