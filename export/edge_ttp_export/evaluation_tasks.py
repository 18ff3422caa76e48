"""An evaluation cut into tasks: the model on one policy's pools, and what one trained network says of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edge_ttp.reward.model import RewardModel
from edge_ttp_export.checkpoint import Checkpoint
from edge_ttp_export.evaluate import evaluate
from edge_ttp_export.examples import LabelledPool, TaskFile
from edge_ttp_export.rule_choices import SIZES, cut
from edge_ttp_export.text_files import Item
from edge_ttp_export.trained_rules import Judged, judge


@dataclass(frozen=True)
class OfModel:
    """The model on the report pools of one policy."""

    policy: str


@dataclass(frozen=True)
class OfNetwork:
    """One network on the report pools of one policy: a loss and a seed, or a fold."""

    policy: str
    network: int
    """Its place among the networks."""
    only: str | None = None
    """The one task that it is measured on; None: all."""


@dataclass(frozen=True)
class EvaluatorMaker:
    """Makes an evaluator where it is to work, with all that it looks at."""

    model: RewardModel | Path
    """The model; its folder where it has to be loaded elsewhere."""
    pools: Mapping[str, Sequence[LabelledPool]]
    """Report pools by policy."""
    users: Mapping[str, dict[str, list[Item]]]
    """The texts of each task."""
    networks: Sequence[Checkpoint]
    threads: int | None
    report: Callable[[str], None] | None

    def __call__(self) -> Evaluator:
        """The evaluator."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        return Evaluator(self)


class Evaluator:
    """Does one part of the evaluation after another."""

    def __init__(self, given: EvaluatorMaker) -> None:
        self._given = given
        self._model: RewardModel | None = None

    def __call__(self, task: OfModel | OfNetwork) -> Any:
        """What `evaluate` says of the model; or what the network says of every member, by the pools' size."""
        pools = self._given.pools[task.policy]
        if isinstance(task, OfModel):
            return self._of_model(pools, task.policy)
        network = self._given.networks[task.network]
        found: dict[int, list[Judged]] = {}
        for size in SIZES:
            members = [one for one in cut(pools, size) if task.only in (None, one[0].task)]
            if members:
                found[size] = judge(network, members)
        return found

    def _of_model(self, pools: Sequence[LabelledPool], policy: str) -> dict[str, Any]:
        given = self._given
        model = self._model
        if model is None:
            known = given.model
            model = RewardModel.load(known, threads=given.threads) if isinstance(known, Path) else known
            self._model = model
        names = {pool.task for pool in pools}
        tasks = [TaskFile(name, given.users[name], model.salience) for name in given.users if name in names]
        return evaluate(model, pools, tasks, policy, given.report or (lambda _: None))

    def close(self) -> None:
        """Nothing is held."""
