"""Trainings from files to checkpoints: one, or one for every loss, seed and task left out, each a task of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from edge_ttp.errors import InvalidInput
from edge_ttp.system.output_folder import output_folder
from edge_ttp_export.checkpoint import FACTS_FILE, load_checkpoint, save_checkpoint
from edge_ttp_export.examples import LabelledPool, load_pools
from edge_ttp_export.graphs import ReaderFolders
from edge_ttp_export.places.in_order import Here, TaskPlace
from edge_ttp_export.train import Trained, TrainSettings, train


@dataclass(frozen=True)
class Training:
    """One network to be trained."""

    settings: TrainSettings
    without: str | None = None
    """A task whose pools it does not see."""

    @property
    def name(self) -> str:
        """Its folder, where there are several."""
        fold = "" if self.without is None else f"-without-{self.without}"
        return f"{self.settings.loss}-seed{self.settings.seed}{fold}"


@dataclass(frozen=True)
class TrainerMaker:
    """Makes a trainer where it is to work, its pools with it."""

    pools: Sequence[LabelledPool]
    threads: int | None
    report: Callable[[str], None] | None
    """Told of every epoch; None where nobody could hear it."""

    def __call__(self) -> Trainer:
        """The trainer."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        return Trainer(self.pools, self.report or (lambda _: None))


class Trainer:
    """Trains one network after another on the same pools."""

    def __init__(self, pools: Sequence[LabelledPool], report: Callable[[str], None]) -> None:
        self._pools, self._report = pools, report

    def __call__(self, task: Training) -> Trained:
        """The network. Raises InvalidInput as `train`."""
        seen = [pool for pool in self._pools if pool.task != task.without]
        parts = [[pool for pool in seen if pool.part == part] for part in ("train", "tune")]
        self._report(f"{task.name}: {len(parts[0])} pools to train on")
        return train(parts[0], parts[1], task.settings, self._report)

    def close(self) -> None:
        """Nothing is held."""


def run_trainings(
    files: Sequence[Path],
    data: Sequence[Path],
    reader: ReaderFolders,
    out: Path,
    trainings: Sequence[Training],
    *,
    report: Callable[[str], None],
    place: TaskPlace | None = None,
    threads: int | None = None,
    force: bool = False,
) -> dict[str, dict[str, Any]]:
    """Trains on the pools of `files`, writes a checkpoint for each training, returns each one's facts by its name.

    A single one is written to `out`, several to folders of their names in it. Of several, those that are there already,
    made of the same pools in the same way, are kept: an interrupted run goes on. The networks are the same wherever
    they are trained, with the same threads. Raises InvalidInput where a folder holds something else and `force` is not
    set, or for a task to leave out that no file has.
    """
    pools, tasks, headers = load_pools(files, data, reader.graphs().runtime(), report)
    known = {task.name for task in tasks}
    for one in trainings:
        if one.without is not None and one.without not in known:
            raise InvalidInput(f"no file has the task {one.without!r}", f"choose {', '.join(sorted(known))}")
    made = {"files": headers, **reader.fingerprints()}
    folders = {one.name: out if len(trainings) == 1 else out / one.name for one in trainings}
    losses: dict[str, dict[str, Any]] = {}
    todo = []
    for one in trainings:
        kept = None if len(trainings) == 1 or force else _kept(folders[one.name], one, made)
        if kept is None:
            todo.append(one)
        else:
            losses[one.name] = kept
    where = place or Here()
    maker = TrainerMaker(pools, threads, report if isinstance(where, Here) else None)
    results: Iterator[Trained] = where.run(maker, todo)
    with closing(results):  # type: ignore[type-var]  # a generator, wherever it comes from
        for one, trained in zip(todo, results, strict=True):
            with output_folder(folders[one.name], force=force) as folder:
                save_checkpoint(folder, trained, {**made, "without": one.without})
            losses[one.name] = trained.facts
            report(f"{one.name}: share {trained.facts['tune_share']:.3f} of the headroom on tune users")
    return {one.name: losses[one.name] for one in trainings}


def _kept(folder: Path, wanted: Training, made: dict[str, Any]) -> dict[str, Any] | None:
    """The facts of a network that was made in just this way; None where there is none."""
    if not (folder / FACTS_FILE).exists():
        return None
    facts = load_checkpoint(folder).made
    told = json.loads(json.dumps({**made, "without": wanted.without, "settings": asdict(wanted.settings)}))
    if any(facts.get(name) != value for name, value in told.items()):
        raise InvalidInput(f"{folder} holds a network that was made in another way", "add --force, or another --out")
    return facts
