"""A loop of llama-cpp-python's `create_chat_completion` as a rival: what a program that draws N answers might do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from edge_ttp.lab.bench.rivals import TEMPERATURE, DrawnTexts, Ground
from edge_ttp.policy.bindings import plain_completer, version


class CompletionLoop:
    """`Llama` in this process, one choice after another; it reuses what the last prompt shares with this one."""

    name = "create_completion"
    way = "one after another"

    def __init__(self, ground: Ground) -> None:
        self.version = version()
        self._llama: Any = plain_completer(ground.path, context=ground.context, threads=ground.threads)

    def choices(self, messages: Sequence[dict[str, str]], n: int, *, tokens: int, seed: int) -> DrawnTexts:
        """As rivals.Rival has it. Texts may end before `tokens`: banning the end token would slow this loop alone."""
        texts, drawn = [], 0
        for at in range(n):
            answer = self._llama.create_chat_completion(
                messages=list(messages), max_tokens=tokens, temperature=TEMPERATURE, top_p=0.95, seed=seed + at
            )
            choice = answer["choices"][0]
            texts.append(str(choice["message"]["content"] or ""))
            # The end token is drawn too, but not counted.
            drawn += answer["usage"]["completion_tokens"] + (choice["finish_reason"] == "stop")
        return DrawnTexts(tuple(texts), drawn)

    @contextmanager
    def awake(self) -> Iterator[None]:
        """It does nothing while it is not asked."""
        yield

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._llama.close()
