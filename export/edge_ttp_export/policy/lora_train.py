"""A small LoRA adapter, in PEFT's files: trained to predict the scored tokens of passages.

Of a user's own history a few steps on a laptop; of many users' texts some hundreds, which go on where they were
interrupted (`LoraTraining.save`). The base stays frozen, in 32 or in 16 bits; what is learned is kept in 32.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.formats.fidelity import Passage
from edge_ttp_export.policy.lora import CONFIG_NAME, WEIGHTS_NAME

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
CLIP = 1.0
"""Largest norm of a step's gradient."""
_MOMENTS = ("exp_avg", "exp_avg_sq")


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
    warmup: int = 0
    """Steps in which the rate rises."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the frozen base and of what is computed: half the bits are two to four times as fast where the processor
    knows them."""
    device: str = "cpu"
    workers: int = 1
    """Passages of a step that are computed at once, each in a thread of its own: on a processor that others use too,
    threads that share one passage wait for one another."""

    def rate_at(self, step: int) -> float:
        """The learning rate of step `step`, counted from 0: a linear rise, then a linear fall to the end."""
        rise = min(1.0, (step + 1) / (self.warmup + 1))
        return self.rate * rise * max(0.0, 1 - step / self.steps)


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
        down, up = self.a.to(rows.dtype), self.b.to(rows.dtype)
        result: torch.Tensor = self.base(rows) + self.scale * (rows @ down.T @ up.T)
        return result


class LoraTraining:
    """An adapter being trained on a network, which it is left in. Raises InvalidInput for an unknown architecture."""

    def __init__(self, network: Any, settings: LoraSettings) -> None:
        torch.manual_seed(settings.seed)
        self.network, self.settings = network, settings
        network.to(device=settings.device, dtype=getattr(torch, settings.precision))
        self._layers = _adapt(network, settings)
        if settings.device == "cpu":  # torch's fused attention takes half of a step's time there in 16 bits
            network.set_attn_implementation("eager")
        for layer in self._layers.values():
            layer.to(settings.device)
        self._learned = {
            f"{name}.{side}": parameter
            for name, layer in self._layers.items()
            for side, parameter in (("a", layer.a), ("b", layer.b))
        }
        self._optimizer = torch.optim.AdamW(list(self._learned.values()), lr=settings.rate, weight_decay=0.0)
        self.losses: list[float] = []
        """Of the steps done, in nats per token."""

    @property
    def step_number(self) -> int:
        """Steps done."""
        return len(self.losses)

    def step(self, passages: Sequence[Passage]) -> float:
        """One step on these passages, each weighing the same; their mean loss before it, in nats per token."""
        with ThreadPoolExecutor(max(1, self.settings.workers), "edge-ttp-train") as pool:
            found = list(pool.map(self._gradients, passages))
        # Added up in the order of the passages: the same sums, however the threads took turns.
        for parameter, gradients in zip(
            self._learned.values(), zip(*(one for _, one in found), strict=True), strict=True
        ):
            parameter.grad = torch.stack(gradients).mean(dim=0)
        total = sum(loss for loss, _ in found) / len(found)
        nn.utils.clip_grad_norm_(self._learned.values(), CLIP)
        for group in self._optimizer.param_groups:
            group["lr"] = self.settings.rate_at(self.step_number)
        self._optimizer.step()
        self.losses.append(total)
        return total

    def loss(self, passages: Sequence[Passage]) -> float:
        """Mean loss of `passages`, each weighing the same, in nats per token; nothing is learned."""
        with torch.no_grad():
            return sum(float(self._loss(passage)) for passage in passages) / max(1, len(passages))

    def tensors(self) -> dict[str, torch.Tensor]:
        """What was learned, in PEFT's names."""
        found = {}
        for name, layer in self._layers.items():
            for side, parameter in (("A", layer.a), ("B", layer.b)):
                found[f"base_model.model.{name}.lora_{side}.weight"] = parameter.detach().cpu().clone().contiguous()
        return found

    def begin(self, tensors: dict[str, torch.Tensor]) -> None:
        """Begins with the weights of another adapter of this network and rank, in PEFT's names."""
        for name, layer in self._layers.items():
            for side, parameter in (("A", layer.a), ("B", layer.b)):
                with torch.no_grad():
                    parameter.copy_(tensors[f"base_model.model.{name}.lora_{side}.weight"])

    def save(self, path: Path) -> None:
        """Writes what a later run needs to go on; a file that is there is replaced as a whole."""
        tensors = {name: parameter.detach().cpu().contiguous() for name, parameter in self._learned.items()}
        for name, parameter in self._learned.items():
            state = self._optimizer.state.get(parameter) or {}
            tensors |= {f"{name}.{moment}": state[moment].cpu().contiguous() for moment in _MOMENTS if moment in state}
        partial = path.with_name(f"partial-{path.name}")
        save_file(tensors, partial, metadata={"losses": json.dumps(self.losses)})
        os.replace(partial, path)

    def load(self, path: Path) -> None:
        """Goes on from what `save` wrote. Raises InvalidInput where the file is none of this adapter."""
        try:
            with safe_open(path, framework="pt") as opened:
                losses = [float(loss) for loss in json.loads((opened.metadata() or {})["losses"])]
                for name, parameter in self._learned.items():
                    with torch.no_grad():
                        parameter.copy_(opened.get_tensor(name))
                    if losses:
                        state: dict[str, Any] = {one: opened.get_tensor(f"{name}.{one}") for one in _MOMENTS}
                        state = {one: value.to(parameter.device) for one, value in state.items()}
                        self._optimizer.state[parameter] = {"step": torch.tensor(float(len(losses))), **state}
        except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
            raise InvalidInput(
                f"{path.name!r} is no state of this training ({str(error)[:100]})", "start anew: delete the file"
            ) from error
        self.losses = losses

    def _gradients(self, passage: Passage) -> tuple[float, tuple[torch.Tensor, ...]]:
        loss = self._loss(passage)
        return float(loss.detach()), torch.autograd.grad(loss, list(self._learned.values()))

    def _loss(self, passage: Passage) -> torch.Tensor:
        """Mean negative log-probability of the scored tokens, in nats."""
        tokens = torch.tensor([passage.tokens], device=self.settings.device)
        before = torch.tensor([index - 1 for index in passage.scored], device=self.settings.device)
        # Only the wanted rows meet the vocabulary: it is a fifth of the work.
        logits = self.network(input_ids=tokens, use_cache=False, logits_to_keep=before).logits[0]
        return nn.functional.cross_entropy(logits.float(), tokens[0, before + 1])


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
    training = LoraTraining(network, settings)
    order = torch.Generator().manual_seed(settings.seed)
    while training.step_number < settings.steps:
        chosen = torch.randint(len(passages), (settings.batch,), generator=order).tolist()
        loss = training.step([passages[index] for index in chosen])
        advance(training.step_number, loss)
    return training.tensors(), training.losses


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
