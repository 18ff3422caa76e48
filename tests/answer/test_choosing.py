"""Which candidate is chosen: every rule, cut-off candidates, and a reward model that knows nothing of the texts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import FakePolicy, FakeReward, rooms
from policy.table import FakeClock

from answer.requests import ask
from edge_ttp.answer import generate
from edge_ttp.answer.choosing import UNFAMILIAR
from edge_ttp.answer.select import NEEDS_REWARD, RULES, Pool, select
from edge_ttp.history import History
from edge_ttp.schema import Budget, HistoryItem, Rule, Sampling


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_chooses_what_the_selection_room_chooses(history: History, rule: Rule) -> None:
    reward = FakeReward(judge=lambda text: text.count("e") / 20, epistemic=lambda text: 0.001 * len(text))
    parts = rooms(history, reward=reward)
    result = generate(parts if rule in NEEDS_REWARD else replace(parts, reward=None), ask(rule=rule, n=8))
    drawn = result.candidates
    pool = Pool(
        logprob=np.array([one.logprob for one in drawn]),
        tokens=np.array([one.tokens for one in drawn]),
        complete=np.array([one.finish_reason == "stop" and bool(one.text) for one in drawn]),
        mean=np.array([one.mean for one in drawn]) if rule in NEEDS_REWARD else None,
        epistemic=np.array([one.epistemic for one in drawn]) if rule in NEEDS_REWARD else None,
        similarity=FakeReward().score(None, "", drawn).similarity,
    )
    expected = select(pool, rule, rng=np.random.default_rng(5))
    assert (result.chosen, result.selection.rule, result.selection.reason) == (expected.index, rule, expected.reason)
    assert result.text == drawn[result.chosen].text
    assert [one.score for one in drawn] == pytest.approx(expected.scores.tolist())
    assert (result.reward is None) == (rule not in NEEDS_REWARD)


def test_where_the_reward_model_knows_nothing_consensus_chooses_and_says_so(history: History) -> None:
    result = generate(rooms(history, reward=FakeReward(familiar=False)), ask(rule="lcb", n=8))
    plain = generate(rooms(history, reward=FakeReward()), ask(rule="consensus", n=8))
    assert (result.selection.rule, result.chosen) == ("consensus", plain.chosen)
    assert UNFAMILIAR in result.notes
    assert result.candidates[0].mean is not None  # the scores are still shown
    alone = generate(rooms(history, reward=FakeReward(familiar=False)), ask(rule="lcb", n=1))
    assert alone.selection.rule == "lcb"
    assert UNFAMILIAR not in alone.notes


def test_scores_of_the_reward_model_stand_with_their_candidates(history: History) -> None:
    reward = FakeReward()
    result = generate(rooms(history, reward=reward), ask())
    assert [[one.text for one in pool] for pool in reward.pools] == [[one.text for one in result.candidates]]
    for one in result.candidates:
        assert one.mean == pytest.approx(len(one.text) / 1000)
        assert (one.aleatoric, one.epistemic, one.variance) == pytest.approx((0.02, 0.01, 0.03))


def test_candidates_without_a_reward_model_have_no_scores(history: History) -> None:
    result = generate(replace(rooms(history), reward=None), ask(rule="consensus"))
    assert {(one.mean, one.variance, one.aleatoric, one.epistemic) for one in result.candidates} == {(None,) * 4}


def test_a_cut_off_candidate_is_not_chosen_while_a_complete_one_is_there(history: History, clock: FakeClock) -> None:
    policy = FakePolicy(clock=clock, step_s=1.0)
    reward = FakeReward(judge=len)
    result = generate(rooms(history, policy, reward), ask(n=16, budget=Budget(deadline_s=3.5)))
    reasons = [one.finish_reason for one in result.candidates]
    assert {"deadline", "stop"} <= set(reasons)
    best = max(result.candidates, key=lambda one: one.mean or 0)
    assert best.finish_reason == "deadline"
    assert result.candidates[result.chosen].finish_reason == "stop"
    assert f"the deadline ended {reasons.count('deadline')} of 16 candidates before they were complete" in result.notes


def test_an_answer_cut_off_inside_a_grammar_is_not_complete(history: History) -> None:
    asked = ask(sampling=Sampling(grammar="012|12|0", max_tokens=2), n=12, rule="logprob")
    result = generate(rooms(history, FakePolicy(table=lambda _: np.zeros(9))), asked)
    reasons = [one.finish_reason for one in result.candidates]
    assert set(reasons) == {"stop", "length"}
    cut = f"{reasons.count('length')} of 12 candidates reached their greatest length before the grammar was complete"
    assert f"{cut}: allow more with --max-tokens" in result.notes
    assert result.candidates[result.chosen].finish_reason == "length"  # the others are empty
    assert result.selection.reason.endswith("none was complete")


def test_an_old_answer_with_the_wrong_day_is_marked_down_and_said(history: History) -> None:
    words = ("", "Thursday", "works", "sorry", "no", "fern")
    history.add(HistoryItem(user_id="ann", input="can we meet Thursday", output="Thursday works"))

    def says(prefix: tuple[int, ...]) -> np.ndarray:
        """`Thursday works`, or now and then `sorry no`."""
        after = {1: 2, 3: 4, 2: 0, 4: 0}.get(prefix[-1])
        if after is None:
            return np.array([-np.inf, 2.0, -np.inf, 0.0, -np.inf, -np.inf])
        return np.array([0.0 if token == after else -np.inf for token in range(len(words))])

    policy = FakePolicy(table=says, words=words)
    parts = rooms(history, policy, FakeReward(judge=lambda text: float(text.startswith("Thursday"))))
    asked = ask("can we meet Wednesday", n=16, sampling=Sampling())
    result = generate(parts, asked)
    assert {one.text for one in result.candidates} == {"Thursday works", "sorry no"}
    assert result.text == "sorry no"
    marked = [one for one in result.candidates if one.remark is not None]
    assert {one.text for one in marked} == {"Thursday works"}
    assert "'Thursday'" in marked[0].remark
    assert any("marked down" in note and "'Thursday'" in note for note in result.notes)
    again = generate(parts, replace(asked, prompt="can we meet Thursday"))
    assert again.text == "Thursday works"
    assert all(one.remark is None for one in again.candidates)
