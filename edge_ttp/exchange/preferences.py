"""Judgments as pairs of texts for the same prompt, one of them preferred: what direct preference optimization takes.

    {"prompt": ..., "chosen": ..., "rejected": ..., "user_id": ..., "kind": ..., "generation_id": ...}

- edit: the edited text over the candidate that was edited.
- prefer K: K over every other candidate of its generation.
- accept (and copied): the candidate over what the same user rejected (or had answered anew) for the same prompt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from edge_ttp.schema import Feedback, Generation

_GOOD = frozenset({"accept", "copied", "edit"})
_BAD = frozenset({"reject", "regenerated"})


def preference_lines(judgments: Iterable[tuple[Feedback, Generation]]) -> Iterator[str]:
    """JSON lines with the pairs that judgments make, in their order. judgments: each with its generation.

    Of several judgments of a kind on one generation the last counts; equal texts make no pair.
    """
    judged: dict[tuple[str, str], tuple[Feedback, Generation]] = {}
    for feedback, generation in judgments:
        judged.pop((feedback.generation_id, feedback.kind), None)
        judged[feedback.generation_id, feedback.kind] = (feedback, generation)
    refused: dict[tuple[str, str], list[str]] = {}
    for feedback, generation in judged.values():
        if feedback.kind in _BAD:
            key = (feedback.user_id, generation.prompt)
            refused.setdefault(key, []).append(generation.candidates[feedback.candidate].text)
    for feedback, generation in judged.values():
        texts = [one.text for one in generation.candidates]
        about = texts[feedback.candidate]
        rejected: list[str] = []
        if feedback.kind == "prefer":
            rejected = texts
        elif feedback.kind in _GOOD:
            rejected = refused.get((feedback.user_id, generation.prompt), [])
            if feedback.kind == "edit":
                rejected = [about, *rejected]
        chosen = about if feedback.text is None else feedback.text
        for text in dict.fromkeys(rejected):
            if text.strip() != chosen.strip():
                yield _line(feedback, generation, chosen, text)


def _line(feedback: Feedback, generation: Generation, chosen: str, rejected: str) -> str:
    pair = {
        "prompt": generation.prompt,
        "chosen": chosen,
        "rejected": rejected,
        "user_id": feedback.user_id,
        "kind": feedback.kind,
        "generation_id": generation.generation_id,
        "created_at": feedback.created_at.isoformat(),
    }
    return json.dumps(pair, ensure_ascii=False) + "\n"
