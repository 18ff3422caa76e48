"""Pools: for one query of one user, N candidates of a policy with their labels. The reward model's training data."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from edge_ttp.answer.prompt import Style, compose, tokens_for
from edge_ttp.errors import EdgeTTPError, InvalidInput, ModelUnavailable
from edge_ttp.policy.elsewhere.address import EngineAddress
from edge_ttp.policy.elsewhere.engine_policy import EnginePolicy
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.request import Control, Request
from edge_ttp.reward.utility import utility
from edge_ttp.schema import Sampling
from edge_ttp.system.output_file import prepared_output
from edge_ttp_export.pool_file import PoolFile
from edge_ttp_export.text_files import Item, file_sha256, read_items, task_of
from edge_ttp_export.text_recall import Recall
from edge_ttp_export.user_split import PARTS, Part, part_of

MIN_HISTORY = 4
"""Fewest earlier items a query's user must have."""

# Of every 20 queries in a row: how many come from users of each part.
_SHARE = {"train": 11, "tune": 4, "report": 5}


@dataclass(frozen=True)
class Recipe:
    """How the candidates of all pools in one file are drawn."""

    n: int
    examples: int = 4
    max_tokens: int = 64
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 1
    style: Style = "chat"


@dataclass(frozen=True)
class Who:
    """Which users queries come from."""

    part: Part | None = None
    """Only users of this part. None: of all, in fixed shares."""
    min_items: int = 0
    """Only users with at least so many items."""
    min_history: int = MIN_HISTORY
    """Fewest earlier items a query's user must have."""

    def takes(self, user: str, items: Sequence[Item]) -> bool:
        """Whether queries may come from this user."""
        return len(items) >= self.min_items and self.part in (None, part_of(user))


@dataclass(frozen=True)
class PoolQuery:
    """One item to be written again by the policy, and everything its user wrote before it."""

    item: Item
    history: tuple[Item, ...]


def choose_queries(users: dict[str, list[Item]], count: int, min_history: int = MIN_HISTORY) -> list[PoolQuery]:
    """The first `count` queries of a fixed order, so that a larger count only adds to a smaller one.

    Parts are mixed in fixed shares; within a part the users take turns, each with the newest item first. Wherever one
    part has no query left, the others go on.
    """
    lines = {
        part: _turns({user: items for user, items in users.items() if part_of(user) == part}, min_history)
        for part in PARTS
    }
    chosen: list[PoolQuery] = []
    while len(chosen) < count:
        block = [query for part in PARTS for _, query in zip(range(_SHARE[part]), lines[part], strict=False)]
        if not block:
            break
        chosen.extend(block)
    return chosen[:count]


def _turns(users: dict[str, list[Item]], min_history: int) -> Iterator[PoolQuery]:
    """Queries of these users in turns: everybody's newest item, then everybody's newest but one ..."""
    names = sorted(users, key=lambda name: (len(name), name[::-1]))  # any order that does not depend on the file's
    columns = [list(range(len(users[name]) - 1, min_history - 1, -1)) for name in names]
    for places in zip_longest(*columns):
        for name, place in zip(names, places, strict=True):
            if place is not None:
                yield PoolQuery(users[name][place], tuple(users[name][:place]))


def make_pools(
    data: Path,
    model: Path | str | None,
    out: Path,
    recipe: Recipe,
    *,
    queries: int,
    threads: int,
    report: Callable[[int, int, float], None],
    who: Who = Who(),
    policy_url: str | None = None,
) -> int:
    """Draws pools for the first `queries` queries of `data` and appends them to `out`; returns how many are in it now.

    `who` narrows the users that queries come from. Pools that `out` holds already are kept: an interrupted run goes on
    where it stopped. `policy_url`: an engine elsewhere draws; `model` then is one that it serves, None its first one,
    and its own way to be asked decides on the style. `report` gets pools done, pools wanted and the seconds left.
    Raises InvalidInput where `out` was made from other data or another recipe.
    """
    users = {user: items for user, items in read_items(data).items() if who.takes(user, items)}
    wanted = choose_queries(users, queries, who.min_history)
    if not wanted:
        raise InvalidInput(f"no user in {data} has enough items", "give longer histories, or ask for fewer items")
    prepared_output(out, force=True)  # continued where it is there; never the history or a model
    policy, drawn_by = _policy(model, policy_url, threads)
    try:
        if isinstance(policy, EnginePolicy):
            recipe = replace(recipe, style="chat" if policy.chats else "few-shot")
        header = {"task": task_of(data), "data": file_sha256(data), **drawn_by, **_as_dict(recipe)}
        with PoolFile.append(out, header) as file, Recall.over(users) as recall:
            todo = [query for query in wanted if _key(query) not in file.keys]
            started, done = time.monotonic(), len(wanted) - len(todo)
            for index, query in enumerate(todo, 1):
                file.write(_pool(policy, recall, query, recipe))
                spent = time.monotonic() - started
                report(done + index, len(wanted), spent / index * (len(todo) - index))
            return len(file.keys)
    finally:
        policy.close()


def _policy(
    model: Path | str | None, policy_url: str | None, threads: int
) -> tuple[LlamaPolicy | EnginePolicy, dict[str, Any]]:
    """The policy, and what the file says of it."""
    if policy_url is None:
        if not isinstance(model, Path):
            raise InvalidInput("no policy is named", "give a model")
        return LlamaPolicy(model, threads=threads), {"model": file_sha256(model)}
    policy = EnginePolicy(EngineAddress.of(policy_url), None if model is None else str(model))
    fingerprint = hashlib.sha256(f"{policy.address.url} {policy.model}".encode()).hexdigest()
    told = {"policy_url": policy.address.url, "policy": policy.model, "logprobs": policy.gives_logprobs}
    return policy, {"model": fingerprint, **told}


def _pool(policy: LlamaPolicy | EnginePolicy, recall: Recall, query: PoolQuery, recipe: Recipe) -> dict[str, Any]:
    """One record of the pool file."""
    item = query.item
    shown = recall.examples(item, recipe.examples)
    while True:
        prompt = compose(item.input, [(one.input, one.output) for one in shown], recipe.style)
        tokens = policy.encode_chat(prompt.messages) if recipe.style == "chat" else policy.encode_text(prompt.text)
        if tokens is None:
            raise ModelUnavailable("this policy has no chat template that is known", "use --style few-shot")
        lengths = [policy.count_tokens(one.output) for one in query.history[-64:]]
        longest = min(recipe.max_tokens, tokens_for(lengths))
        if len(tokens) + longest <= policy.context_trained or not shown:
            break
        shown = shown[:-1]
    request = Request(
        prompt=tokens,
        n=recipe.n,
        sampling=recipe.sampling,
        seed=_seed(recipe.seed, item),
        max_tokens=longest,
        stop=prompt.stop,
    )
    drawn = policy.sample(request, Control())
    texts = [one.text for one in drawn.candidates]
    if len(texts) != recipe.n:
        raise EdgeTTPError(f"the policy drew {len(texts)} candidates instead of {recipe.n}", "lower --n")
    return {
        "user_id": item.user_id,
        "order": item.order,
        "part": part_of(item.user_id),
        "examples": len(shown),
        "candidates": [
            {"text": text, "tokens": one.tokens, "logprob": round(one.logprob, 5), "finish_reason": one.finish_reason}
            for text, one in zip(texts, drawn.candidates, strict=True)
        ],
        "utility": [round(utility(text, item.output), 9) for text in texts],
        "chrf": [round(value, 6) for value in _chrf(texts, item.output)],
    }


def _chrf(texts: Sequence[str], reference: str) -> list[float]:
    """chrF of each text against the reference, 0 to 1 (Popović 2015, by sacrebleu): a metric no training sees."""
    from sacrebleu.metrics import CHRF

    metric = CHRF()
    return [metric.sentence_score(text, [reference]).score / 100 for text in texts]


def _seed(seed: int, item: Item) -> int:
    """A seed of its own for every query, so that no two queries draw from the same random stream."""
    return int.from_bytes(hashlib.sha256(f"{seed} {item.user_id} {item.order}".encode()).digest()[:6], "big")


def _key(query: PoolQuery) -> tuple[str, int]:
    return query.item.user_id, query.item.order


def _as_dict(recipe: Recipe) -> dict[str, Any]:
    sampling = recipe.sampling
    return {
        "n": recipe.n,
        "examples": recipe.examples,
        "max_tokens": recipe.max_tokens,
        "seed": recipe.seed,
        "style": recipe.style,
        "sampling": [sampling.top_k, sampling.top_p, sampling.min_p, sampling.temperature],
    }
