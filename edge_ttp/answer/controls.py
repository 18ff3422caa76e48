"""How candidates are drawn: from what the caller wrote (schema.Sampling) to what the engine is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from edge_ttp.errors import InvalidInput
from edge_ttp.history.rows import checked_text
from edge_ttp.policy import gbnf, gbnf_bounds
from edge_ttp.policy.request import Request
from edge_ttp.schema import LoraAdapter, Sampling

STRUCTURED_TOKENS = 256
"""Least length allowed to a text that follows a grammar where the caller says none: what the user wrote before does
not tell how long such a text is, and half a JSON object is of no use."""

Tokenize = Callable[[str], tuple[int, ...]]
"""Tokens of a text alone."""


def check(sampling: Sampling) -> str | None:
    """The GBNF grammar that candidates have to follow, None for free text.

    Raises InvalidInput for what can be known to be wrong before a model is loaded.
    """
    for stop in sampling.stop:
        checked_text("a stop string", stop)
    for key in sampling.logit_bias:
        if isinstance(key, str) and not checked_text("a text with a logit bias", key):
            raise InvalidInput("a logit bias is for no text", "name a token id or a text")
        if isinstance(key, int) and key < 0:
            raise InvalidInput(f"a logit bias is for the token {key}", "token ids begin at 0")
    if sampling.json_schema is None:
        if sampling.grammar is not None and "::=" in sampling.grammar:  # what has no rule is refused by the policy
            gbnf_bounds.refuse_unbounded(gbnf.read(sampling.grammar))
        return sampling.grammar
    if sampling.grammar is not None:
        raise InvalidInput("a candidate cannot follow both a grammar and a JSON schema", "give one of them")
    from edge_ttp.policy.json_grammar import schema_to_grammar

    return schema_to_grammar(json.dumps(sampling.json_schema))


def settled(sampling: Sampling, temperatures: Sequence[float], adapters: Sequence[LoraAdapter] = ()) -> Sampling:
    """`sampling` with the policy's own adapters and temperatures where the caller named none.

    The caller's win, the default's value too.
    """
    if adapters and not sampling.adapters:
        sampling = sampling.model_copy(update={"adapters": tuple(adapters)})
    if not temperatures or sampling.model_fields_set & {"temperature", "temperatures"}:
        return sampling
    if len(temperatures) == 1:
        return sampling.model_copy(update={"temperature": temperatures[0]})
    return sampling.model_copy(update={"temperatures": tuple(temperatures)})


def request(
    sampling: Sampling,
    tokenize: Tokenize,
    *,
    prompt: tuple[int, ...],
    prompt_stop: tuple[str, ...],
    n: int,
    seed: int,
    max_tokens: int,
    grammar: str | None = None,
    core: int = 0,
) -> Request:
    """One call of the engine. `prompt_stop` ends answers to this prompt where no grammar says when they end."""
    return Request(
        prompt=prompt,
        core=core,
        n=n,
        sampling=sampling,
        seed=seed,
        max_tokens=max_tokens,
        stop=sampling.stop if grammar is not None else (*sampling.stop, *prompt_stop),
        grammar=grammar,
        logit_bias=_by_token(sampling.logit_bias, tokenize),
    )


def _by_token(biases: Mapping[int | str, float], tokenize: Tokenize) -> tuple[tuple[int, float], ...]:
    """(token, bias) for every token meant; an id of its own outdoes a text that the token is in."""
    texts = {token: bias for key, bias in biases.items() if isinstance(key, str) for token in tokenize(key)}
    ids = {key: bias for key, bias in biases.items() if isinstance(key, int)}
    return tuple(sorted({**texts, **ids}.items()))
