"""From a prompt in words to the policy's tokens, with as many examples as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from edge_ttp.answer.ask import Policy
from edge_ttp.answer.prompt import Example, Prompt, Style, compose
from edge_ttp.errors import OutOfCapacity
from edge_ttp.policy.reading import alike
from edge_ttp.schema import Speaker


class EncodedPrompt(NamedTuple):
    """A composed prompt in tokens."""

    prompt: Prompt
    tokens: tuple[int, ...]
    core: int = 0
    """Tokens at the beginning that every prompt with the same core begins with."""


def encode(
    policy: Policy,
    style: Style,
    request: str,
    examples: Sequence[Example],
    turns: Sequence[Example] = (),
    *,
    system: str | None = None,
    context: Sequence[str] = (),
    speaker: Speaker = "user",
    several_lines: bool = False,
    core: Sequence[Example] = (),
) -> EncodedPrompt:
    """The prompt for `request` in words and in tokens; few-shot text where the model has no chat template."""
    if core:
        kept = partial(encode, policy, style, system=system, speaker=speaker, core=())
        shown = [*examples, *reversed(core)]
        whole = kept(request, shown, turns, context=context, several_lines=several_lines)
        return whole._replace(core=alike(whole.tokens, kept("?", [*reversed(core)]).tokens))
    composed = partial(
        compose,
        request,
        examples,
        turns=turns,
        system=system,
        context=context,
        speaker=speaker,
        several_lines=several_lines,
    )
    prompt = composed(style)
    if prompt.style == "chat":
        tokens = policy.encode_chat(prompt.messages)
        if tokens is not None:
            return EncodedPrompt(prompt, tokens)
        prompt = composed("few-shot")
    return EncodedPrompt(prompt, policy.encode_text(prompt.text))


def encode_fitting(
    policy: Policy,
    style: Style,
    request: str,
    examples: Sequence[Example],
    *,
    longest: int,
    memory_bytes: int | None = None,
) -> EncodedPrompt:
    """The prompt with as many of `examples`, the first ones, as leave room for one answer of `longest` tokens.

    Raises OutOfCapacity where context or memory do not hold the request alone.
    """
    for count in range(len(examples), 0, -1):
        encoded = encode(policy, style, request, examples[:count])
        try:
            policy.width(len(encoded.tokens), longest, 1, memory_bytes=memory_bytes)
        except OutOfCapacity:
            continue
        return encoded
    encoded = encode(policy, style, request, ())
    policy.width(len(encoded.tokens), longest, 1, memory_bytes=memory_bytes)
    return encoded
