"""One evaluation from files to numbers: the model itself, and the networks it is compared with, policy by policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_ttp.errors import InvalidInput
from edge_ttp.reward.model import RewardModel
from edge_ttp_export.checkpoint import Checkpoint, load_checkpoint
from edge_ttp_export.compare import compare
from edge_ttp_export.evaluation_tasks import EvaluatorMaker, OfModel, OfNetwork
from edge_ttp_export.examples import LabelledPool, load_pools
from edge_ttp_export.places.in_order import Here, TaskPlace
from edge_ttp_export.train import Member
from edge_ttp_export.trained_rules import PROBABILISTIC, Fixed, Judged, fix_rules
from edge_ttp_export.user_split import Part

LISTS = ("rows", "paired", "diagnosis", "growth")


def evaluate_files(
    model: RewardModel,
    files: Sequence[Path],
    data: Sequence[Path],
    report: Callable[[str], None],
    *,
    trained: Sequence[Path] = (),
    left_out: Mapping[str, Path] | None = None,
    place: TaskPlace | None = None,
    folder: Path | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """What choosing with `model` is worth on the report users' pools of `files`, drawn from the texts in `data`.

    `trained` are networks made on the model's encoder to compare with: those of one loss are its seeds; at least one is
    of the loss beta-nll. `left_out` are networks that never saw a task, by that task's name. Selection rules and their
    constants are fixed on tune users of the policies that the networks were trained on.

    `place`: where the model and every network - loss, seed, fold - are measured, each a task; this process by default.
    Elsewhere the model is loaded from its `folder`, which has to be there too.

    `calibration`, `shuffle` and `chrf` are of the first policy's pools; other policies have theirs under `policies`.
    """
    networks = _by_loss(trained)
    strangers = {task: load_checkpoint(folder) for task, folder in (left_out or {}).items()}
    parts: tuple[Part, ...] = ("tune", "report") if networks else ("report",)
    pools, tasks, headers = load_pools(files, data, model.salience, report, parts=parts)
    policies = _by_policy(pools, headers, parts)
    lists: dict[str, Any] = {name: [] for name in LISTS}
    rules: dict[str, Fixed] = {}
    seen: set[str] = set()
    if networks:
        seen = {file["model"][:12] for each in networks.values() for one in each for file in one.made["files"]}
        tune = [pool for name, part in policies.items() if name in seen for pool in part if pool.part == "tune"]
        if not tune:
            raise InvalidInput("no pool of a tune user to fix the selection rules on", "give the training's pool files")
        chosen = fix_rules(networks[PROBABILISTIC], tune)
        rules = {name: fixed for name, (fixed, _) in chosen.items()}
        lists["rules"] = {
            name: {"rule": fixed.rule, "constant": fixed.constant, "tune_share": share}
            for name, (fixed, share) in chosen.items()
        }
    lists["policies"] = {}
    reported_of = {policy: [pool for pool in part if pool.part == "report"] for policy, part in policies.items()}
    for policy, reported in reported_of.items():
        if not reported:
            raise InvalidInput(f"no pool of a report user from policy {policy}", "make more pools")
        report(f"policy {policy}: {len(reported)} pools of report users")
    where = place or Here()
    here = isinstance(where, Here) or folder is None
    every = [*(one for each in networks.values() for one in each), *strangers.values()]
    only = [*(None for each in networks.values() for _ in each), *strangers]
    parted: list[OfModel | OfNetwork] = []
    for policy in reported_of:
        parted.append(OfModel(policy))
        if networks:
            parted += [OfNetwork(policy, number, task) for number, task in enumerate(only)]
    users = {task.name: task.users for task in tasks}
    made = EvaluatorMaker(
        model if here else folder or Path(), reported_of, users, every, threads, report if here else None
    )
    answers: dict[OfModel | OfNetwork, Any] = dict(zip(parted, where.run(made, parted), strict=True))
    number_of = {id(one): number for number, one in enumerate(every)}
    for policy, reported in reported_of.items():
        of_model = answers[OfModel(policy)]

        def known(network: Checkpoint, members: Sequence[Member], policy: str = policy) -> Sequence[Judged]:
            number = number_of[id(network)]
            judged: Sequence[Judged] = answers[OfNetwork(policy, number, only[number])][len(members[0][1])]
            return judged

        if networks:
            for name, values in compare(
                reported, networks, strangers, rules, {"policy": policy, "seen": policy in seen}, judge=known
            ).items():
                lists[name] += values
            of_model["rows"] = [row for row in of_model["rows"] if row["selector"] == "model"]
        for name in LISTS:
            lists[name] += of_model.pop(name, [])
        lists["policies"][policy] = of_model
    first = next(iter(lists["policies"].values()))
    return {**lists, **first}


def _by_loss(trained: Sequence[Path]) -> dict[str, list[Checkpoint]]:
    found: dict[str, list[Checkpoint]] = {}
    for folder in trained:
        checkpoint = load_checkpoint(folder)
        found.setdefault(checkpoint.made["settings"]["loss"], []).append(checkpoint)
    if found and PROBABILISTIC not in found:
        raise InvalidInput(f"no network of the loss {PROBABILISTIC} is given", "train one and pass it with --trained")
    return found


def _by_policy(
    pools: Sequence[LabelledPool], headers: Sequence[Mapping[str, Any]], parts: Sequence[Part]
) -> dict[str, list[LabelledPool]]:
    found: dict[str, list[LabelledPool]] = {}
    start = 0
    for header in headers:
        count = header["loaded"]
        found.setdefault(str(header["model"])[:12], []).extend(pools[start : start + count])
        start += count
    if not any(found.values()):
        raise InvalidInput(f"the files hold no pool of {' or '.join(parts)} users", "make more pools")
    return found
