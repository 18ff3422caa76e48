"""How candidates are drawn: from what the caller wrote (schema.Sampling) to what the engine is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from edge_ttp.errors import InvalidInput
from edge_ttp.history.rows import checked_text
from edge_ttp.policy import bindings
from edge_ttp.policy.adapter import Adapter
from edge_ttp.policy.request import Request
from edge_ttp.policy.sampling import Filters
from edge_ttp.schema import Sampling

STRUCTURED_TOKENS = 256
"""Least length allowed to a text that follows a grammar where the caller says none: what the user wrote before does
not tell how long such a text is, and half a JSON object is of no use."""

Tokenize = Callable[[str], tuple[int, ...]]
"""Tokens of a text alone."""


def check(sampling: Sampling) -> None:
    """Raises InvalidInput for what can be known to be wrong before a model is loaded."""
    for stop in sampling.stop:
        checked_text("a stop string", stop)
    for key in sampling.logit_bias:
        if isinstance(key, str) and not checked_text("a text with a logit bias", key):
            raise InvalidInput("a logit bias is for no text", "name a token id or a text")
    if sampling.grammar is not None and sampling.json_schema is not None:
        raise InvalidInput("a candidate cannot follow both a grammar and a JSON schema", "give one of them")
    grammar(sampling)


def structured(sampling: Sampling) -> bool:
    """Whether candidates follow a grammar, which alone says where a text is complete."""
    return sampling.grammar is not None or sampling.json_schema is not None


def grammar(sampling: Sampling) -> str | None:
    """The GBNF grammar to follow, if any. Raises InvalidInput for a JSON schema that cannot be one."""
    if sampling.json_schema is not None:
        return bindings.schema_to_grammar(json.dumps(sampling.json_schema))
    return sampling.grammar


def filters(sampling: Sampling, tokenize: Tokenize) -> Filters:
    """The filters of the engine's sampler."""
    return Filters(
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        min_p=sampling.min_p,
        temperature=sampling.temperature,
        typical_p=sampling.typical_p,
        repetition_penalty=sampling.repetition_penalty,
        presence_penalty=sampling.presence_penalty,
        frequency_penalty=sampling.frequency_penalty,
        penalty_window=sampling.penalty_window,
        logit_bias=_by_token(sampling.logit_bias, tokenize),
        temperatures=sampling.temperatures,
    )


def request(
    sampling: Sampling,
    tokenize: Tokenize,
    *,
    prompt: tuple[int, ...],
    prompt_stop: tuple[str, ...],
    n: int,
    seed: int,
    max_tokens: int,
) -> Request:
    """One call of the engine. `prompt_stop` ends answers to this prompt where no grammar says when they end."""
    return Request(
        prompt=prompt,
        n=n,
        filters=filters(sampling, tokenize),
        seed=seed,
        max_tokens=max_tokens,
        stop=sampling.stop if structured(sampling) else (*sampling.stop, *prompt_stop),
        share=sampling.share_prefixes,
        grammar=grammar(sampling),
        adapters=tuple(Adapter(Path(one.path), one.scale) for one in sampling.adapters),
    )


def _by_token(biases: Mapping[int | str, float], tokenize: Tokenize) -> tuple[tuple[int, float], ...]:
    """(token, bias) for every token meant; an id of its own outdoes a text that the token is in."""
    texts = {token: bias for key, bias in biases.items() if isinstance(key, str) for token in tokenize(key)}
    ids = {key: bias for key, bias in biases.items() if isinstance(key, int)}
    return tuple(sorted({**texts, **ids}.items()))
