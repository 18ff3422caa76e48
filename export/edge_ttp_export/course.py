"""Optimizer steps of a training with a fixed number of them: clipped gradients, schedule, and what is told of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

_TOLD_EVERY = 20
_SMOOTH = 0.98


class Course:
    """The steps of one training, counted from when it is made."""

    def __init__(
        self,
        name: str,
        parameters: Iterable[Tensor],
        *,
        rate: float,
        decay: float,
        steps: int,
        report: Callable[[str], None],
    ) -> None:
        self._name, self._parameters, self._steps, self._report = name, list(parameters), steps, report
        self._optimizer = torch.optim.AdamW(self._parameters, lr=rate, weight_decay=decay)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, max_lr=rate, total_steps=steps, pct_start=0.1
        )
        self._done, self._mean, self._started = 0, 0.0, time.monotonic()

    def step(self, loss: Tensor) -> None:
        """One step down `loss`."""
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._schedule.step()
        self._done += 1
        value = loss.item()
        self._mean = _SMOOTH * self._mean + (1 - _SMOOTH) * value if self._done > 1 else value
        if self._done % _TOLD_EVERY == 0 or self._done == self._steps:
            left = (time.monotonic() - self._started) / self._done * (self._steps - self._done)
            self._report(f"{self._name}: step {self._done} of {self._steps}, loss {self._mean:.4f}, {left:.0f} s left")
