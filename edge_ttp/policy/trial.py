"""A policy file tried as the runtime uses it: loaded, texts tokenized, a few tokens decoded.

Runs in a process of its own (edge_ttp.system.confined): llama.cpp ends the process that loads a file it did not expect.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from edge_ttp.errors import InvalidInput, ModelUnavailable, OutOfCapacity
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.request import Control, Request
from edge_ttp.schema import LoraAdapter, Sampling

TEXTS = (
    "a",
    "The printer on the second floor works again.\n\n\tThanks!",
    "Zażółć gęślą jaźń, 今日は, مرحبا, \U0001f600\u200d\ufeff",
    "\x00\x7f<|im_end|> <s> </s> [INST] 1234567890.00 ~~~~ aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
)
"""What is tokenized."""
_PROMPT_TOKENS = 12
_GRAMMAR = 'root ::= [a-zA-Z0-9 ,.{}"-]+'


def trial(request: Mapping[str, Any]) -> dict[str, Any]:
    """Tries the GGUF file `path`, with the LoRA adapter `adapter` where one is named.

    Raises ModelUnavailable where it does not load or computes no numbers, OutOfCapacity where there is no room.
    """
    adapters = (LoraAdapter(path=str(request["adapter"])),) if request.get("adapter") else ()
    policy = LlamaPolicy(Path(request["path"]), threads=1, gpu_layers=0)
    try:
        decoded = _draw(policy, adapters)
    finally:
        policy.close()
    return {"tokens": decoded}


def _draw(policy: LlamaPolicy, adapters: tuple[LoraAdapter, ...]) -> int:
    """Tokens drawn for some prompts."""
    decoded = 0
    chat = policy.encode_chat([("system", "Answer."), ("user", TEXTS[1]), ("assistant", "Yes."), ("user", "?")])
    prompts = [policy.encode_text(text) for text in TEXTS]
    for prompt in filter(None, [*prompts, chat or ()]):
        decoded += _sample(policy, prompt[-_PROMPT_TOKENS:], adapters, None)
    first = next(filter(None, prompts), None)
    if first is None:
        raise ModelUnavailable("the model's vocabulary has no token for any text", "use another file")
    with suppress(InvalidInput):  # a vocabulary without such letters
        decoded += _sample(policy, first[:1], adapters, _GRAMMAR)
    return decoded


def _sample(
    policy: LlamaPolicy, prompt: tuple[int, ...], adapters: tuple[LoraAdapter, ...], grammar: str | None
) -> int:
    room = policy.context_trained - len(prompt)
    if room < 1:
        raise OutOfCapacity(f"the model's context of {policy.context_trained} tokens holds no prompt", "use another")
    drawn = policy.sample(
        Request(
            prompt,
            n=3,
            sampling=Sampling(top_k=0, min_p=0.0, temperature=1.5, adapters=adapters),
            seed=1,
            max_tokens=min(2, room),
            grammar=grammar,
        ),
        Control(),
    )
    if not np.isfinite([one.logprob for one in drawn.candidates]).all():
        raise ModelUnavailable("the model computes what is no number", "use another file")
    return sum(one.tokens for one in drawn.candidates)
