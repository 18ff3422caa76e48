"""What is known of the user: similar items, kinds, other users' items, no history."""

from __future__ import annotations

from fakes import FakePolicy, FakeReward, rooms

from answer.requests import ask, remember
from edge_ttp.answer import generate
from edge_ttp.answer.lengths import BARE_TOKENS
from edge_ttp.answer.recollection import recollect
from edge_ttp.history import History
from edge_ttp.schema import HistoryItem, Sampling


def test_the_prompt_holds_what_this_user_wrote_most_similar_last_and_nothing_of_another(history: History) -> None:
    remember(history)
    remember(history, "bob")
    policy = FakePolicy()
    result = generate(rooms(history, policy), ask(examples=2))
    (messages,) = policy.messages
    assert [text for role, text in messages if role == "assistant"] == ["ann answer 1", "ann answer 0"]
    assert messages[-1] == ("user", "what grows here")
    assert result.plan.examples == 2
    assert not any("no history" in line for line in result.notes)


def test_a_user_without_history_gets_an_answer_and_is_told(history: History) -> None:
    remember(history, "bob")
    result = generate(rooms(history), ask(user="nobody"))
    assert result.notes == ("no history yet for 'nobody': nothing to imitate, answers are not personal",)
    assert result.plan.examples == 0
    assert result.text
    assert result.stored


def test_a_kind_keeps_recall_scoring_and_lengths_to_items_of_that_kind(history: History) -> None:
    remember(history, count=2, kind="email")
    history.add(HistoryItem(user_id="ann", input="what grows here", output="a commit " * 30, kind="commit"))
    policy, reward = FakePolicy(), FakeReward()
    result = generate(rooms(history, policy, reward), ask(kind="email", sampling=Sampling()))
    assert {text for role, text in policy.messages[0] if role == "assistant"} == {"ann answer 0", "ann answer 1"}
    assert {item.kind for item in reward.profiles[0]} == {"email"}
    assert result.plan.max_tokens == 16
    assert result.kind == "email"


def test_no_examples_still_scores_against_the_history(history: History) -> None:
    remember(history)
    policy, reward = FakePolicy(), FakeReward()
    result = generate(rooms(history, policy, reward), ask(examples=0))
    assert [role for role, _ in policy.messages[0]] == ["system", "user"]
    assert len(reward.profiles[0]) == 6
    assert result.notes == ()


def test_examples_can_be_recalled_for_another_text(history: History) -> None:
    remember(history, count=5)
    policy = FakePolicy()
    generate(rooms(history, policy), ask("tell me more", examples=1, recall_for="what is it"))
    assert ("assistant", "ann answer 2") in policy.messages[-1]


def test_the_bare_policy_recalls_nothing_and_is_judged_by_nobody(history: History) -> None:
    remember(history)
    policy, reward = FakePolicy(), FakeReward()
    result = generate(
        rooms(history, policy, reward), ask(speaker="policy", n=1, rule="first", store=False, sampling=Sampling())
    )
    assert [list(messages) for messages in policy.messages] == [[("user", "what grows here")]]
    assert reward.profiles == []
    assert (result.plan.examples, result.stored, result.notes) == (0, False, ())
    assert result.plan.max_tokens == BARE_TOKENS


def test_a_kind_that_the_user_never_wrote_falls_back_and_says_so(history: History) -> None:
    for kind in ("mail", "mail", "note"):
        history.add(HistoryItem(user_id="ann", input="what grows", output=f"{kind} {history.count('ann')}", kind=kind))
    found = recollect(rooms(history), ask(kind="poem"))
    assert len(found.examples) == 3
    assert found.notes == ("nothing of kind 'poem' in the history of 'ann': all kinds are imitated (mail 2, note 1)",)
    kept = recollect(rooms(history), ask(kind="note"))
    assert [output for _, output in kept.examples] == ["note 2"]
    assert kept.notes == ()
    assert "no history yet" in recollect(rooms(history), ask(kind="poem", user="bob")).notes[0]


def test_a_core_stays_the_same_for_other_requests_and_is_not_recalled_again(history: History) -> None:
    remember(history, count=5)
    one, other = (recollect(rooms(history), ask(text, core=2)) for text in ("what grows here", "tell me more"))
    assert len(one.core) == 2
    assert one.core == other.core
    assert not set(one.core) & set(one.examples)
    history.add(HistoryItem(user_id="ann", input="something new", output="another answer"))
    assert recollect(rooms(history), ask(core=2)).core != ()
    assert recollect(rooms(history), ask()).core == ()
