"""Draws one pool after another, wherever it is made: with a policy's file, or by an engine elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge_ttp.answer.prompt import Style, compose, tokens_for
from edge_ttp.errors import EdgeTTPError, ModelUnavailable
from edge_ttp.policy.elsewhere.address import EngineAddress
from edge_ttp.policy.elsewhere.engine_policy import EnginePolicy
from edge_ttp.policy.elsewhere.persistence import Persistence
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.request import Control, Request
from edge_ttp.reward.utility import utility
from edge_ttp.schema import Sampling
from edge_ttp_export.text_files import Item, file_sha256
from edge_ttp_export.user_split import part_of


@dataclass(frozen=True)
class Recipe:
    """How the candidates of all pools in one file are drawn."""

    n: int
    examples: int = 4
    max_tokens: int = 64
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 1
    style: Style = "chat"

    def as_dict(self) -> dict[str, Any]:
        """What a pool file says of it."""
        sampling = self.sampling
        return {
            "n": self.n,
            "examples": self.examples,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "style": self.style,
            "sampling": [sampling.top_k, sampling.top_p, sampling.min_p, sampling.temperature],
        }


@dataclass(frozen=True)
class DrawTask:
    """One query with all that its pool depends on, beside the recipe."""

    item: Item
    shown: tuple[tuple[str, str], ...]
    """What is recalled of the user's earlier items, input and output, best first."""
    written: tuple[str, ...]
    """Outputs that the user wrote before, the last ones: their lengths say how long an answer may be."""


@dataclass(frozen=True)
class PolicyFile:
    """A policy to draw with: a file, which has to lie at the same path wherever a drawer works."""

    path: Path
    sha256: str

    def open(self, threads: int) -> LlamaPolicy:
        """The policy. Raises ModelUnavailable where the file is another."""
        if not self.path.is_file():
            raise ModelUnavailable(f"there is no policy {self.path} on this node", "put the file there, or mount it")
        if file_sha256(self.path) != self.sha256:
            raise ModelUnavailable(f"{self.path} is another file on this node", "copy the policy there")
        return LlamaPolicy(self.path, threads=threads)

    @property
    def in_header(self) -> dict[str, Any]:
        """What a pool file says of it."""
        return {"model": self.sha256}


@dataclass(frozen=True)
class PolicyElsewhere:
    """A policy to draw with: one that an engine serves."""

    address: EngineAddress
    name: str
    chats: bool
    logprobs: bool
    patience: Persistence | None = None

    @classmethod
    def asked(cls, url: str, model: str | None, patience: Persistence | None) -> PolicyElsewhere:
        """The engine's policy of this name (None: its first), and what it can do. Raises as EnginePolicy."""
        policy = EnginePolicy(EngineAddress.of(url), model, patience=patience)
        try:
            return cls(policy.address, policy.model, policy.chats, policy.gives_logprobs, patience)
        finally:
            policy.close()

    def open(self, threads: int) -> EnginePolicy:
        """The policy; the engine has the threads."""
        return EnginePolicy(self.address, self.name, patience=self.patience)

    @property
    def in_header(self) -> dict[str, Any]:
        """What a pool file says of it."""
        fingerprint = hashlib.sha256(f"{self.address.url} {self.name}".encode()).hexdigest()
        said = {"policy_url": self.address.url, "policy": self.name, "logprobs": self.logprobs}
        return {"model": fingerprint, **said}


@dataclass(frozen=True)
class DrawerMaker:
    """Makes a drawer where it is to work."""

    policy: PolicyFile | PolicyElsewhere
    recipe: Recipe
    threads: int

    def __call__(self) -> PoolDrawer:
        """The drawer, its policy loaded."""
        return PoolDrawer(self.policy.open(self.threads), self.recipe)


class PoolDrawer:
    """Draws pools by one recipe. A pool depends on its query and on the recipe alone."""

    def __init__(self, policy: LlamaPolicy | EnginePolicy, recipe: Recipe) -> None:
        self._policy, self._recipe = policy, recipe

    def close(self) -> None:
        """Frees the policy."""
        self._policy.close()

    def __call__(self, task: DrawTask) -> dict[str, Any]:
        """One record of the pool file. Raises EdgeTTPError where the policy cannot draw it."""
        item, recipe, policy = task.item, self._recipe, self._policy
        shown = list(task.shown)
        lengths = [policy.count_tokens(one) for one in task.written]
        longest = min(recipe.max_tokens, tokens_for(lengths))
        while True:
            prompt = compose(item.input, shown, recipe.style)
            tokens = policy.encode_chat(prompt.messages) if recipe.style == "chat" else policy.encode_text(prompt.text)
            if tokens is None:
                raise ModelUnavailable(
                    "this policy has no chat template that is known", 'give its manifest prompt_style = "few-shot"'
                )
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
                {"text": text, "tokens": one.tokens, "logprob": round(one.logprob, 5)}
                | {"finish_reason": one.finish_reason}
                for text, one in zip(texts, drawn.candidates, strict=True)
            ],
            "utility": [round(utility(text, item.output), 9) for text in texts],
            "chrf": [round(value, 6) for value in _chrf(texts, item.output)],
        }


def styled(recipe: Recipe, policy: PolicyFile | PolicyElsewhere) -> Recipe:
    """The recipe in the style that the policy's engine is asked in, where it has a say."""
    if isinstance(policy, PolicyFile):
        return recipe
    return replace(recipe, style="chat" if policy.chats else "few-shot")


def _chrf(texts: Sequence[str], reference: str) -> list[float]:
    """chrF of each text against the reference, 0 to 1 (Popović 2015, by sacrebleu): a metric no training sees."""
    from sacrebleu.metrics import CHRF

    metric = CHRF()
    return [metric.sentence_score(text, [reference]).score / 100 for text in texts]


def _seed(seed: int, item: Item) -> int:
    """A seed of its own for every query, so that no two queries draw from the same random stream."""
    return int.from_bytes(hashlib.sha256(f"{seed} {item.user_id} {item.order}".encode()).digest()[:6], "big")
