"""`llm -m edge-ttp "..."`: a plugin of llm (https://llm.datasette.io), found by its entry point.

Fragments (`llm -f notes.txt`) are documents: shown to the policy, never recalled nor kept as the user's writing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import cached_property
from typing import Any

import llm
from pydantic import Field

from edge_ttp.aio import AsyncRuntime
from edge_ttp.answer.ask import DEFAULT_EXAMPLES
from edge_ttp.runtime import Runtime
from edge_ttp.runtime.asking import Options as Asked
from edge_ttp.schema import DEFAULT_RULE, MAX_CANDIDATES, Budget, Generation, Mode, Rule, Sampling


@llm.hookimpl  # type: ignore[untyped-decorator]
def register_models(register: Any) -> None:
    """Called by llm."""
    register(EdgeTTPModel(), AsyncEdgeTTPModel())


class _Options(llm.Options):  # type: ignore[misc]
    user: str | None = Field(None, description="Whose voice. Default: the configured user.")
    n: int | None = Field(None, ge=1, le=MAX_CANDIDATES, description="Candidates. Default: as many as are worth it.")
    deadline: float | None = Field(None, gt=0, description="Seconds for the whole answer.")
    mode: Mode | None = Field(None, description="fast, balanced or best.")
    select: Rule = Field(DEFAULT_RULE, description="Selection rule.")
    temperature: float | None = Field(None, ge=0, le=5, description="Divides the logits.")
    max_tokens: int | None = Field(None, ge=1, description="Longest answer.")
    seed: int | None = Field(None, ge=0, description="Draws the same again.")
    kind: str | None = Field(None, description="Recall items of this kind alone.")
    examples: int = Field(DEFAULT_EXAMPLES, ge=0, description="Most earlier texts in the prompt.")
    store: bool = Field(True, description="Whether the answer is kept, so that feedback can refer to it.")


class _Shared:
    """What the model has in common with its async twin."""

    model_id = "edge-ttp"
    can_stream = True
    supports_schema = True
    Options = _Options

    def _asked(self, prompt: Any, turns: list[tuple[str, str]]) -> tuple[str, Asked]:
        given: _Options = prompt.options
        documents = "\n".join(prompt.fragments)
        question = prompt.prompt[len(documents) :].lstrip("\n") if prompt.fragments else prompt.prompt
        budget = {"deadline_s": given.deadline, "mode": given.mode}
        sampling = {"temperature": given.temperature, "max_tokens": given.max_tokens, "json_schema": prompt.schema}
        return question, Asked(
            user=given.user,
            turns=turns,
            recall_for=turns[0][0] if turns else None,
            system=prompt.system or None,
            context=tuple(str(one) for one in prompt.fragments),
            n=given.n,
            budget=Budget.model_validate({name: value for name, value in budget.items() if value is not None}),
            sampling=Sampling.model_validate({name: value for name, value in sampling.items() if value is not None}),
            select=given.select,
            seed=given.seed,
            kind=given.kind,
            examples=given.examples,
            store=given.store,
        )

    @staticmethod
    def _done(response: Any, made: Generation) -> None:
        response.set_usage(input=made.usage.prompt_tokens, output=made.usage.completion_tokens)
        response.response_json = {
            "generation_id": made.generation_id,
            "n": made.n,
            "reason": made.selection.reason,
            "notes": list(made.notes),
        }


class EdgeTTPModel(_Shared, llm.Model):  # type: ignore[misc]
    """The person's own drafts, for llm."""

    @cached_property
    def _runtime(self) -> Runtime:
        return Runtime.open()

    def execute(self, prompt: Any, stream: bool, response: Any, conversation: Any) -> Iterator[str]:
        """The answer's text, as it becomes certain."""
        turns = [(one.prompt.prompt, one.text()) for one in conversation.responses] if conversation else []
        question, options = self._asked(prompt, turns)
        certain = None
        for event in self._runtime.stream(question, **options):
            if event.type == "selected":
                certain = event.candidate
            if event.text and (event.type == "selected" or (event.type == "delta" and event.candidate == certain)):
                yield event.text
            if event.generation is not None:
                self._done(response, event.generation)


class AsyncEdgeTTPModel(_Shared, llm.AsyncModel):  # type: ignore[misc]
    """The same in an event loop."""

    @cached_property
    def _runtime(self) -> AsyncRuntime:
        return AsyncRuntime.open()

    async def execute(self, prompt: Any, stream: bool, response: Any, conversation: Any) -> AsyncIterator[str]:
        """The answer's text, as it becomes certain."""
        turns = [(one.prompt.prompt, await one.text()) for one in conversation.responses] if conversation else []
        question, options = self._asked(prompt, turns)
        certain = None
        async for event in self._runtime.stream(question, **options):
            if event.type == "selected":
                certain = event.candidate
            if event.text and (event.type == "selected" or (event.type == "delta" and event.candidate == certain)):
                yield event.text
            if event.generation is not None:
                self._done(response, event.generation)
