"""ChatEdgeTTP: a LangChain chat model that drafts as the person (extra `langchain`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field, PrivateAttr

from edge_ttp.aio import AsyncRuntime
from edge_ttp.errors import InvalidInput
from edge_ttp.runtime import Runtime
from edge_ttp.runtime.asking import Options
from edge_ttp.schema import Budget, Event, Generation, Sampling

_ROLES = {"human": "user", "ai": "assistant", "system": "system"}


class ChatEdgeTTP(BaseChatModel):  # type: ignore[misc]
    """A chat model over an open runtime: ChatEdgeTTP(runtime=runtime, user="ada").invoke("Is it done?").

    `generation_id` in the message's response_metadata is what feedback refers to.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)
    runtime: Runtime
    user: str | None = None
    n: int | None = None
    budget: Budget = Field(default_factory=Budget)
    sampling: Sampling = Field(default_factory=Sampling)
    context: Sequence[str] = ()
    """Documents that every request is about."""
    store: bool = True
    _for_loops: AsyncRuntime | None = PrivateAttr(None)

    @property
    def _llm_type(self) -> str:
        return "edge-ttp"

    def _awaited(self) -> AsyncRuntime:
        if self._for_loops is None:
            self._for_loops = AsyncRuntime(self.runtime)
        return self._for_loops

    def _options(self, messages: list[BaseMessage], stop: list[str] | None) -> Options:
        for message in messages:
            if message.type not in _ROLES:
                raise InvalidInput(
                    f"a message of type {message.type!r} cannot be shown to the policy", "use system, human and ai"
                )
        sampling = self.sampling.model_copy(update={"stop": (*self.sampling.stop, *(stop or ()))})
        return Options(
            messages=[{"role": _ROLES[message.type], "content": message.content} for message in messages],
            user=self.user,
            n=self.n,
            budget=self.budget,
            sampling=sampling,
            context=self.context,
            store=self.store,
        )

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result(self.runtime.generate(None, **self._options(messages, stop)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _result(await self._awaited().generate(None, **self._options(messages, stop)))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        certain = _Certain()
        for event in self.runtime.stream(None, **self._options(messages, stop)):
            for chunk in certain.chunks(event):
                if run_manager is not None:
                    run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        certain = _Certain()
        async for event in self._awaited().stream(None, **self._options(messages, stop)):
            for chunk in certain.chunks(event):
                if run_manager is not None:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk


class _Certain:
    """The answer's text in chunks, as it becomes certain; the last one says what it came of."""

    def __init__(self) -> None:
        self._candidate: int | None = None

    def chunks(self, event: Event) -> Iterator[ChatGenerationChunk]:
        """What an event adds."""
        if event.type == "selected":
            self._candidate = event.candidate
        if event.text and (event.type == "selected" or (event.type == "delta" and event.candidate == self._candidate)):
            yield ChatGenerationChunk(message=AIMessageChunk(content=event.text))
        if event.generation is not None:
            made = event.generation
            message = AIMessageChunk(content="", response_metadata=_metadata(made), usage_metadata=_usage(made))
            yield ChatGenerationChunk(message=message)


def _result(made: Generation) -> ChatResult:
    message = AIMessage(content=made.text, response_metadata=_metadata(made), usage_metadata=_usage(made))
    return ChatResult(generations=[ChatGeneration(message=message)])


def _metadata(made: Generation) -> dict[str, Any]:
    return {
        "model_name": made.model,
        "generation_id": made.generation_id,
        "n": made.n,
        "reason": made.selection.reason,
        "finish_reason": made.candidates[made.chosen].finish_reason,
    }


def _usage(made: Generation) -> UsageMetadata:
    given, drawn = made.usage.prompt_tokens, made.usage.completion_tokens
    return UsageMetadata(input_tokens=given, output_tokens=drawn, total_tokens=given + drawn)
