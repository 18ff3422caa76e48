"""How long answers may become, and whether they end with their first line."""

from __future__ import annotations

from fakes import FakePolicy, rooms

from answer.requests import ask, remember
from edge_ttp.answer import generate
from edge_ttp.history import History
from edge_ttp.schema import Sampling


def test_a_request_for_many_words_gets_room_for_them_whatever_the_user_usually_writes(history: History) -> None:
    remember(history)
    policy = FakePolicy()
    usual = generate(rooms(history, policy), ask(sampling=Sampling())).plan.max_tokens
    asked_for = generate(rooms(history, policy), ask("Describe it in 150 words", sampling=Sampling()))
    assert usual < 20
    assert asked_for.plan.max_tokens >= 150
    capped = generate(rooms(history, policy), ask("Describe it in 150 words", sampling=Sampling(max_tokens=9)))
    assert capped.plan.max_tokens == 9


def test_an_answer_of_one_line_is_forced_only_where_nothing_else_is_asked_for(history: History) -> None:
    remember(history)
    policy = FakePolicy()
    generate(rooms(history, policy), ask(sampling=Sampling()))
    generate(rooms(history, policy), ask("Give me a list of ten trees", sampling=Sampling()))
    generate(rooms(history, policy), ask(sampling=Sampling(stop=("END",))))
    one_line, a_list, own_stop = (request.stop for request in policy.requests)
    assert one_line == ("\n",)
    assert a_list == ()
    assert own_stop == ("END",)
