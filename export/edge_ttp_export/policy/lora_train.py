"""A small LoRA adapter trained on one user's history, in PEFT's files: a few steps on a laptop.

What is learned is to write each output after the prompt that the runtime would make for its input, the outputs of
the items before it as examples.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.formats.fidelity import Passage
from edge_ttp_export.policy.lora import CONFIG_NAME, WEIGHTS_NAME

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class LoraSettings:
    """How an adapter is trained."""

    rank: int = 8
    alpha: int = 16
    steps: int = 40
    rate: float = 1e-3
    batch: int = 2
    """Passages of one step."""
    targets: tuple[str, ...] = TARGETS
    seed: int = 1


class _Adapted(nn.Module):  # type: ignore[misc]
    """A frozen linear layer and what is learned beside it."""

    def __init__(self, base: nn.Linear, rank: int, scale: float) -> None:
        super().__init__()
        self.base, self.scale = base, scale
        self.a = nn.Parameter(torch.empty(rank, base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """The layer's output with the adapter's."""
        result: torch.Tensor = self.base(rows) + self.scale * (rows @ self.a.T @ self.b.T)
        return result


def train_lora(
    network: Any,
    passages: Sequence[Passage],
    settings: LoraSettings,
    *,
    advance: Callable[[int, float], None] = lambda step, loss: None,
) -> tuple[dict[str, torch.Tensor], list[float]]:
    """Trains an adapter of `network` on the scored tokens of `passages`; its tensors in PEFT's names, and the losses.

    The network is left with the adapter in it. `advance` gets the steps done and the last loss, in nats per token.
    """
    if not passages:
        raise InvalidInput("there is no text to train on", "give more of the user's history")
    torch.manual_seed(settings.seed)
    adapted = _adapt(network, settings)
    optimizer = torch.optim.AdamW(
        [parameter for layer in adapted.values() for parameter in (layer.a, layer.b)], lr=settings.rate
    )
    order = torch.Generator().manual_seed(settings.seed)
    losses = []
    for step in range(settings.steps):
        chosen = torch.randint(len(passages), (settings.batch,), generator=order).tolist()
        optimizer.zero_grad()
        total = 0.0
        for index in chosen:
            loss = _loss(network, passages[index]) / settings.batch
            loss.backward()
            total += float(loss.detach())
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * (1 - step / settings.steps)
        optimizer.step()
        losses.append(total)
        advance(step + 1, total)
    tensors = {}
    for name, layer in adapted.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = layer.a.detach().contiguous()
        tensors[f"base_model.model.{name}.lora_B.weight"] = layer.b.detach().contiguous()
    return tensors, losses


def write_lora(tensors: dict[str, torch.Tensor], settings: LoraSettings, base: Path, folder: Path) -> None:
    """Writes an adapter as PEFT does: its configuration and its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    configuration = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base.name,
        "r": settings.rank,
        "lora_alpha": settings.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": list(settings.targets),
        "inference_mode": True,
    }
    (folder / CONFIG_NAME).write_text(json.dumps(configuration, indent=1) + "\n", encoding="utf-8")
    save_file(tensors, folder / WEIGHTS_NAME, metadata={"format": "pt"})


def _adapt(network: Any, settings: LoraSettings) -> dict[str, _Adapted]:
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    found = [
        (path, module)
        for path, module in network.named_modules()
        if isinstance(module, nn.Linear) and path.rpartition(".")[2] in settings.targets
    ]
    if not found:
        raise InvalidInput("no layer of this architecture is known to the training", "use a Llama, Gemma or Qwen model")
    layers = {}
    for path, module in found:
        parent, _, name = path.rpartition(".")
        layers[path] = _Adapted(module, settings.rank, settings.alpha / settings.rank)
        setattr(network.get_submodule(parent), name, layers[path])
    return layers


def _loss(network: Any, passage: Passage) -> torch.Tensor:
    """Mean negative log-probability of the scored tokens, in nats."""
    tokens = torch.tensor([passage.tokens])
    logits = network(input_ids=tokens, use_cache=False).logits[0, [index - 1 for index in passage.scored]]
    targets = tokens[0, list(passage.scored)]
    return nn.functional.cross_entropy(logits.float(), targets)
