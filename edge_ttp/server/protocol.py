"""OpenAI's answer objects, whole and in chunks, made of the runtime's generations. Pure: no HTTP, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_ttp.schema import Candidate, Event, Generation

_FINISH = {"stop": "stop", "length": "length"}
OWNER = "edge-ttp"


def finish_reason(reason: str) -> str:
    """OpenAI's word: what a deadline, a cancel or a full cache ended is cut as by a length."""
    return _FINISH.get(reason, "length")


def choices_of(generation: Generation, n: int) -> list[int]:
    """Indices of `n` different candidates, the chosen one first, then by what the rule ranked by, complete ones before
    cut ones. Fewer where fewer different texts were drawn."""
    candidates = generation.candidates

    def rank(index: int) -> tuple[bool, bool, float]:
        one = candidates[index]
        score = one.score if one.score is not None else one.logprob / max(1, one.tokens)
        return (index != generation.chosen, one.finish_reason != "stop", -score)

    found: list[int] = []
    texts: set[str] = set()
    for index in sorted(range(len(candidates)), key=rank):
        if candidates[index].text not in texts and (candidates[index].text or not found):
            texts.add(candidates[index].text)
            found.append(index)
    return found[:n]


def usage_of(generation: Generation) -> dict[str, Any]:
    """Tokens of a request: all candidates that were drawn count."""
    usage = generation.usage
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_prompt_tokens},
    }


def extension_of(generation: Generation, *, all_candidates: bool) -> dict[str, Any]:
    """What OpenAI's objects have no field for: the generation's id, the rule and its reason, the notes."""
    chosen = generation.candidates[generation.chosen]
    extension: dict[str, Any] = {
        "generation_id": generation.generation_id,
        "stored": generation.stored,
        "rule": generation.selection.rule,
        "reason": generation.selection.reason,
        "n": generation.n,
        "mean": chosen.mean,
        "variance": chosen.variance,
        "notes": list(generation.notes),
    }
    if all_candidates:
        extension["candidates"] = [one.model_dump(mode="json") for one in generation.candidates]
        extension["plan"] = generation.plan.model_dump(mode="json")
    return extension


@dataclass(frozen=True)
class ChatForm:
    """The shapes of /v1/chat/completions."""

    id: str
    created: int
    """Seconds since the epoch."""
    model: str
    fingerprint: str = OWNER

    def whole(self, chosen: Sequence[Candidate], usage: dict[str, Any]) -> dict[str, Any]:
        """The answer in one piece."""
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": one.text, "refusal": None},
                "logprobs": None,
                "finish_reason": finish_reason(one.finish_reason),
            }
            for index, one in enumerate(chosen)
        ]
        return {**self._head("chat.completion"), "choices": choices, "usage": usage}

    def piece(self, index: int, text: str, *, first: bool) -> dict[str, Any]:
        """A chunk with text of choice `index`; the first one says whose it is."""
        delta = {"role": "assistant", "content": text} if first else {"content": text}
        return self._chunk([{"index": index, "delta": delta, "logprobs": None, "finish_reason": None}])

    def end(self, index: int, reason: str) -> dict[str, Any]:
        """The chunk that ends choice `index`."""
        return self._chunk([{"index": index, "delta": {}, "logprobs": None, "finish_reason": finish_reason(reason)}])

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """A chunk that carries an event of the runtime and an empty delta."""
        return {
            **self._chunk([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": None}]),
            "edge_ttp": {"event": event},
        }

    def usage(self, usage: dict[str, Any]) -> dict[str, Any]:
        """The last chunk for clients that asked for it: no choices, the tokens."""
        return {**self._chunk([]), "usage": usage}

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {**self._head("chat.completion.chunk"), "choices": choices}

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
        }


@dataclass(frozen=True)
class TextForm:
    """The shapes of /v1/completions."""

    id: str
    created: int
    model: str
    fingerprint: str = OWNER

    def whole(self, chosen: Sequence[Candidate], usage: dict[str, Any]) -> dict[str, Any]:
        """The answer in one piece."""
        choices = [self._choice(index, one.text, finish_reason(one.finish_reason)) for index, one in enumerate(chosen)]
        return {**self._head(), "choices": choices, "usage": usage}

    def piece(self, index: int, text: str, *, first: bool) -> dict[str, Any]:
        """A chunk with text of choice `index`."""
        return {**self._head(), "choices": [self._choice(index, text, None)]}

    def end(self, index: int, reason: str) -> dict[str, Any]:
        """The chunk that ends choice `index`."""
        return {**self._head(), "choices": [self._choice(index, "", finish_reason(reason))]}

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """A chunk that carries an event of the runtime and no text."""
        return {**self._head(), "choices": [self._choice(0, "", None)], "edge_ttp": {"event": event}}

    def usage(self, usage: dict[str, Any]) -> dict[str, Any]:
        """The last chunk for clients that asked for it."""
        return {**self._head(), "choices": [], "usage": usage}

    @staticmethod
    def _choice(index: int, text: str, reason: str | None) -> dict[str, Any]:
        return {"index": index, "text": text, "logprobs": None, "finish_reason": reason}

    def _head(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
        }


Form = ChatForm | TextForm


@dataclass(frozen=True)
class ResponseForm:
    """The shapes of /v1/responses: one message of text."""

    id: str
    created: int
    model: str

    @property
    def item(self) -> str:
        """Id of the message."""
        return "msg_" + self.id.removeprefix("resp_")

    def whole(
        self, status: str, text: str | None, usage: dict[str, Any] | None, reason: str = "stop"
    ) -> dict[str, Any]:
        """The response object, in progress or completed."""
        cut = text is not None and finish_reason(reason) == "length"
        output = [] if text is None else [self.message("completed", text)]
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": "incomplete" if cut else status,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "error": None,
            "instructions": None,
            "metadata": {},
            "model": self.model,
            "output": output,
            "parallel_tool_calls": False,
            "temperature": None,
            "tool_choice": "none",
            "tools": [],
            "top_p": None,
            "usage": None if usage is None else _response_usage(usage),
        }

    def message(self, status: str, text: str) -> dict[str, Any]:
        """The output item."""
        content = [{"type": "output_text", "text": text, "annotations": []}] if status == "completed" else []
        return {"id": self.item, "type": "message", "status": status, "role": "assistant", "content": content}

    def beginning(self) -> list[dict[str, Any]]:
        """The events before the first text."""
        empty = {"type": "output_text", "text": "", "annotations": []}
        return [
            {"type": "response.created", "response": self.whole("in_progress", None, None)},
            {"type": "response.in_progress", "response": self.whole("in_progress", None, None)},
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": self.message("in_progress", ""),
            },
            {**self._place("response.content_part.added"), "part": empty},
        ]

    def piece(self, text: str) -> dict[str, Any]:
        """An event with text."""
        return {**self._place("response.output_text.delta"), "delta": text, "logprobs": []}

    def ending(self, text: str, usage: dict[str, Any], reason: str) -> list[dict[str, Any]]:
        """The events after the last text."""
        part = {"type": "output_text", "text": text, "annotations": []}
        whole = self.whole("completed", text, usage, reason)
        return [
            {**self._place("response.output_text.done"), "text": text, "logprobs": []},
            {**self._place("response.content_part.done"), "part": part},
            {"type": "response.output_item.done", "output_index": 0, "item": self.message("completed", text)},
            {"type": f"response.{whole['status']}", "response": whole},
        ]

    def _place(self, kind: str) -> dict[str, Any]:
        return {"type": kind, "item_id": self.item, "output_index": 0, "content_index": 0}


def _response_usage(usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": usage["prompt_tokens_details"]["cached_tokens"]},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage["total_tokens"],
    }


def shown(event: Event) -> dict[str, Any]:
    """An event of the runtime as JSON: without what it does not have, but with a whole generation."""
    told = event.model_dump(mode="json", exclude_none=True, exclude={"generation"})
    if event.generation is not None:
        told["generation"] = event.generation.model_dump(mode="json")
    return told
