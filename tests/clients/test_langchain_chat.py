"""ChatEdgeTTP with the real langchain-core, on the real policy. Run by `make test-clients`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_ttp import InvalidInput, Runtime, Sampling

messages = pytest.importorskip("langchain_core.messages", reason="make test-clients installs it")
pytestmark = [pytest.mark.clients, pytest.mark.real]


@pytest.fixture
def runtime(models_home: Path) -> Iterator[Runtime]:
    with Runtime.open() as opened:
        yield opened


def test_it_answers_streams_and_names_what_feedback_is_about(runtime: Runtime) -> None:
    from edge_ttp.adapters.langchain_chat import ChatEdgeTTP

    chat = ChatEdgeTTP(runtime=runtime, user="ada", n=1, sampling=Sampling(max_tokens=10, temperature=0))
    said = chat.invoke("Is it done?")
    assert said.content
    assert said.usage_metadata["output_tokens"] > 0
    runtime.feedback(said.response_metadata["generation_id"], "accept")
    asked = [
        messages.SystemMessage("Be kind."),
        messages.HumanMessage("Is it done?"),
        said,
        messages.HumanMessage("So?"),
    ]
    pieces = list(chat.stream(asked))
    assert len(pieces) > 2
    assert "".join(piece.content for piece in pieces) == chat.invoke(asked).content
    assert runtime.generations("ada")[0].prompt == "So?"


def test_it_works_in_an_event_loop_and_in_a_chain(runtime: Runtime) -> None:
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate

    from edge_ttp.adapters.langchain_chat import ChatEdgeTTP

    chat = ChatEdgeTTP(runtime=runtime, user="ada", n=1, sampling=Sampling(max_tokens=10, temperature=0), store=False)
    chain = ChatPromptTemplate.from_messages([("human", "Is {what} done?")]) | chat | StrOutputParser()

    async def main() -> tuple[str, str]:
        awaited = await chain.ainvoke({"what": "it"})
        streamed = [piece async for piece in chain.astream({"what": "it"})]
        return awaited, "".join(streamed)

    awaited, streamed = asyncio.run(main())
    assert awaited == streamed == chain.invoke({"what": "it"})


def test_messages_it_cannot_show_are_refused(runtime: Runtime) -> None:
    from edge_ttp.adapters.langchain_chat import ChatEdgeTTP

    with pytest.raises(InvalidInput, match="'tool'"):
        ChatEdgeTTP(runtime=runtime).invoke([messages.ToolMessage("x", tool_call_id="1"), messages.HumanMessage("a")])
