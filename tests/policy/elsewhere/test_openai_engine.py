"""A connection to one engine: what it serves and can do, and what it is told where it does not answer so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx
import pytest
from fakes.engine import FakeEngine, running

from edge_ttp.errors import ModelUnavailable, NotFound
from edge_ttp.policy.elsewhere.address import EngineAddress
from edge_ttp.policy.elsewhere.openai_engine import OpenAIEngine, served
from edge_ttp.policy.elsewhere.openai_form import Abilities, AnswerLine, Way
from edge_ttp.policy.elsewhere.persistence import Failed, Refused
from policy.elsewhere.callers import QUICK

T = TypeVar("T")
ADDRESS = EngineAddress.of("http://127.0.0.1:9/v1")


def asked(engine: FakeEngine, what: Callable[[OpenAIEngine], Awaitable[T]]) -> T:
    async def work() -> T:
        made = OpenAIEngine(EngineAddress.of(engine.url), QUICK)
        try:
            return await what(made)
        finally:
            await made.close()

    return asyncio.run(work())


def able(way: Way = "chat/completions", **manners: Any) -> Abilities | None:
    def ask(abilities: Abilities, n: int) -> dict[str, Any]:
        told: dict[str, Any] = {"prompt": "a"} if way == "completions" else {"messages": []}
        told |= {"max_tokens": 1, "stream": True} | ({"n": n} if n > 1 else {})
        told |= {"logprobs": 1} if abilities.logprobs else {}
        return told | ({"top_k": 40} if abilities.extras else {})

    with running(FakeEngine(**manners)) as engine:
        return asked(engine, lambda made: made.abilities(way, ask))


@pytest.mark.parametrize(
    ("manners", "abilities"),
    [
        ({}, Abilities()),
        ({"n": False}, Abilities(n=False)),
        ({"refuse": ("n",)}, Abilities(n=False)),
        ({"logprobs": False}, Abilities(logprobs=False)),
        ({"refuse": ("logprobs",)}, Abilities(logprobs=False)),
        ({"refuse": ("n", "logprobs")}, Abilities(n=False, logprobs=False)),
        ({"refuse": ("top_k",)}, Abilities(extras=False)),
        ({"refuse": ("top_k", "n", "logprobs")}, Abilities(n=False, logprobs=False, extras=False)),
        ({"streams": False}, Abilities(logprobs=False)),
    ],
)
def test_what_it_can_do_is_found_by_trying(manners: dict[str, Any], abilities: Abilities) -> None:
    assert able(**manners) == abilities


def test_a_way_that_is_not_there_has_no_abilities() -> None:
    assert able("completions", plain=False) is None
    assert able("chat/completions", refuse=("messages",)) is None
    assert able("completions", chat=False) == Abilities()


def test_an_engine_that_wants_a_key_is_not_tried_in_other_ways() -> None:
    with pytest.raises(Refused) as raised:
        able(key="secret")
    assert raised.value.status == 401
    assert "EDGE_TTP" in raised.value.cure


def test_the_models_that_have_a_name_are_listed() -> None:
    odd: list[Any] = [{"id": "a"}, {"id": 3}, "b", {}]
    with running(FakeEngine(models=odd)) as engine:
        assert asked(engine, lambda made: made.models()) == [{"id": "a"}]


def test_an_answer_that_is_no_list_of_models_is_not_openais_protocol() -> None:
    with (
        running(FakeEngine(models="none")) as engine,  # type: ignore[arg-type]
        pytest.raises(ModelUnavailable, match="does not speak OpenAI's protocol"),
    ):
        asked(engine, lambda made: made.models())


class Words:
    """Hears an answer to its end."""

    def __init__(self) -> None:
        self.text = ""
        self.ended = False

    def hear(self, line: AnswerLine) -> bool:
        self.text += "".join(piece.text for piece in line.pieces)
        self.ended |= any(piece.finish for piece in line.pieces)
        return True

    def satisfied(self) -> bool:
        return self.ended


BODY = {"messages": [], "max_tokens": 8}


@pytest.mark.parametrize("streams", [True, False])
def test_an_answer_comes_piece_by_piece_or_whole(streams: bool) -> None:
    words = Words()
    with running(FakeEngine(streams=streams)) as engine:
        asked(engine, lambda made: made.once("chat/completions", BODY, words))
        assert words.text == "".join(engine.text(BODY, 0))


def test_an_answer_that_breaks_off_failed_and_was_too_much_at_once() -> None:
    with running(FakeEngine(breaks=1.0)) as engine, pytest.raises(Failed, match="broke off") as raised:
        asked(engine, lambda made: made.once("chat/completions", BODY, Words()))
    assert raised.value.crowded


@pytest.mark.parametrize(
    ("status", "headers", "error", "after_s", "crowded"),
    [
        (429, {"retry-after": "7"}, Failed, 7.0, True),
        (503, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, Failed, None, True),
        (500, {}, Failed, None, False),
        (429, {"retry-after": "-1"}, Failed, None, True),
        (400, {}, Refused, None, False),
        (302, {"location": "http://elsewhere.example/"}, Refused, None, False),
    ],
)
def test_a_status_says_whether_another_try_is_worth_it(
    status: int, headers: dict[str, str], error: type[Exception], after_s: float | None, crowded: bool
) -> None:
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.host)
        return httpx.Response(status, headers=headers, json={"error": {"message": "no\nroom"}})

    async def work() -> None:
        made = OpenAIEngine(ADDRESS, QUICK)
        await made._client.aclose()
        made._client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        try:
            await made.once("chat/completions", BODY, Words())
        finally:
            await made.close()

    with pytest.raises(error) as raised:
        asyncio.run(work())
    assert "no room" in str(raised.value)
    assert sent == ["127.0.0.1"]  # nobody else is sent the prompt
    if isinstance(raised.value, Failed):
        assert (raised.value.after_s, raised.value.crowded) == (after_s, crowded)


def test_an_answer_without_an_end_is_given_up() -> None:
    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]
            for _ in range(200):
                yield b"x" * 2**16

    async def work() -> None:
        made = OpenAIEngine(ADDRESS, QUICK)
        await made._client.aclose()
        headers = {"content-type": "text/event-stream"}
        transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, stream=Endless()))
        made._client = httpx.AsyncClient(transport=transport)
        try:
            await made.once("chat/completions", BODY, Words())
        finally:
            await made.close()

    with pytest.raises(Failed, match="a line without an end"):
        asyncio.run(work())


@pytest.mark.parametrize(
    ("models", "wanted", "found"),
    [
        ([], None, ("default", None)),
        ([], "mine", ("mine", None)),
        ([{"id": "a", "max_model_len": 2048}, {"id": "b"}], None, ("a", 2048)),
        ([{"id": "a"}, {"id": "b", "meta": {"n_ctx": 512}}], "b", ("b", 512)),
        ([{"id": "a", "max_model_len": "2048"}], "a", ("a", None)),
        ([{"id": "a", "max_model_len": -1}], "a", ("a", None)),
        ([{"id": "a", "meta": "none", "max_model_len": True}], "a", ("a", None)),
    ],
)
def test_the_model_that_is_asked_for_and_its_context(
    models: list[dict[str, Any]], wanted: str | None, found: tuple[str, int | None]
) -> None:
    assert served(models, wanted, ADDRESS) == found


def test_a_model_that_is_not_served_is_answered_with_those_that_are() -> None:
    with pytest.raises(NotFound, match="serves no model 'c'") as raised:
        served([{"id": "a"}, {"id": "b" * 100}], "c", ADDRESS)
    assert raised.value.cure == f"choose one of: a, {'b' * 60}"
