"""`edge-ttp bench adapt`: what self-calibration and feedback are worth, and what they cost."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_ttp.cli import options
from edge_ttp.cli.output import emit_json, note, progress
from edge_ttp.errors import InvalidInput

if TYPE_CHECKING:
    from edge_ttp.lab.bench.adapting import AdaptedShare
    from edge_ttp.lab.bench.simulated_feedback import FeedbackRound


def adapt(
    pools: Annotated[
        list[Path], typer.Option("--pools", help="Made by `edge-ttp export pools --part report`. May be repeated.")
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", help=f"Folder of the texts behind the pools. Default: {options.DATA_VARIABLE}."),
    ] = None,
    reward: Annotated[str | None, typer.Option("--reward", help="Reward model. Default: the default one.")] = None,
    items: Annotated[
        int, typer.Option("--items", min=0, help="Items of the large user for the recall time.")
    ] = 100_000,
    users: Annotated[int, typer.Option("--users", min=0, help="Users beside it, of 20 items each.")] = 10_000,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Share of headroom on users' latest items after learning from earlier ones, and after simulated feedback.

    Scores the pools with the reward model, so that it can be run again with another one.
    """
    from edge_ttp.lab.bench import adapting, learning_costs, simulated_feedback
    from edge_ttp.lab.bench.user_pools import load
    from edge_ttp.paths import locate
    from edge_ttp.registry import DEFAULT_REWARD, Registry
    from edge_ttp.reward.model import RewardModel

    folder = options.data_folder(data)
    if folder is None or not folder.is_dir():
        raise InvalidInput("the texts behind the pools are not named", "point --data to their folder")
    model = RewardModel.load(Registry(locate()).locate(reward or DEFAULT_REWARD, kind="reward").path, threads=threads)
    with progress("scoring pools", None, "pools") as advance:
        found = load(pools, folder, model, advance)
    tested = adapting.split(found)
    if not tested:
        raise InvalidInput("no user in these files has enough pools", "give files with several pools per user")
    rows = adapting.curve(model.stock, tested)
    most = max((count for count in adapting.COUNTS if _able(rows, count)), default=0)
    rows += adapting.curve(model.stock, adapting.split(found, adapting.LONG), (adapting.LONG,))
    carried = adapting.carry_over(model.stock, found)
    strangers = adapting.others(model.stock, tested, most)
    rounds = min(simulated_feedback.ROUNDS, most) if most else 0
    points = simulated_feedback.simulate(model.stock, tested, rounds=rounds) if rounds else []
    failures = [adapting.failures(model.stock, tested, count) for count in (8, 20) if _able(rows, count)]
    longest = max(tested, key=lambda one: len(one.earlier))
    update = learning_costs.update_cost(model, longest.earlier[:40])
    recall = learning_costs.recall_cost(items, users) if items else None
    result: dict[str, Any] = {
        "rows": [row.as_dict() for row in rows],
        "other_user": {"items": most, "rows": [row.as_dict() for row in strangers]},
        "carry_over": carried,
        "failures": failures,
        "feedback": [point.as_dict() for point in points],
        "update_ms": update.stored_ms,
        "update": asdict(update),
        "recall_p95_ms": None if recall is None else recall.p95_ms,
        "recall": None if recall is None else asdict(recall),
        "reward": model.name,
        "fingerprint": model.fingerprint,
    }
    if as_json:
        emit_json(result)
        return
    for line in [
        *_table(rows, strangers),
        "",
        *_carried(carried),
        "",
        *_feedback(points),
        "",
        *_failures(failures),
        "",
    ]:
        typer.echo(line)
    typer.echo(
        f"one update on top of {update.items}: {update.stored_ms:.1f} ms stored, {update.posterior_ms:.1f} ms in memory"
    )
    if recall is not None:
        typer.echo(
            f"recall from {recall.items} items beside {recall.users} users: p50 {recall.p50_ms:.1f} ms, "
            f"p95 {recall.p95_ms:.1f} ms, {recall.database_bytes / 1e6:.0f} MB"
        )
    note(f"reward model {model.name} ({model.fingerprint}); intervals: 95% bootstrap over users")


def _able(rows: list[AdaptedShare], count: int) -> bool:
    return any(row.items == count and row.users >= 2 for row in rows)


def _table(rows: list[AdaptedShare], strangers: list[AdaptedShare]) -> list[str]:
    lines = ["| task | items | users | queries | share | stock | gain | trust |", "| --- " * 8 + "|"]
    for row in sorted(rows, key=lambda row: (row.task != "all", row.task, row.items)):
        lines.append(_line(row, row.task))
    lines += [_line(row, f"{row.task}, somebody else's") for row in strangers]
    return lines


def _line(row: AdaptedShare, name: str) -> str:
    return (
        f"| {name} | {row.items} | {row.users} | {row.queries} | {row.share:.3f} ({row.low:.3f} to {row.high:.3f}) | "
        f"{row.stock:.3f} | {row.gain:+.3f} ({row.gain_low:+.3f} to {row.gain_high:+.3f}) | {row.trust:.2f} |"
    )


def _carried(rows: list[dict[str, Any]]) -> list[str]:
    lines = ["| task | users | pairs | same user | other users |", "| --- " * 5 + "|"]
    return lines + [
        f"| {one['task']} | {one['users']} | {one['pairs']} | {one['same']:+.4f} ({one['low']:+.4f} to "
        f"{one['high']:+.4f}) | {one['other']:+.4f} |"
        for one in rows
    ]


def _feedback(points: list[FeedbackRound]) -> list[str]:
    shown = [point for point in points if point.round in (0, 1, 2, 5, 10, 15, 20)]
    lines = ["| feedback | rounds | share | stock | online without prior | gain |", "| --- " * 6 + "|"]
    return lines + [
        f"| {point.kind} | {point.round} | {point.share:.3f} | {point.stock:.3f} | {point.online:.3f} | "
        f"{point.gain:+.3f} ({point.gain_low:+.3f} to {point.gain_high:+.3f}) |"
        for point in shown
    ]


def _failures(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| after | users | model | collapsed users | hacked queries | rho < 0 measured | mean rho |",
        "| --- " * 7 + "|",
    ]
    for one in rows:
        for name in ("stock", "adapted"):
            part = one[name]
            lines.append(
                f"| {one['items']} | {one['users']} | {name} | {part['collapsed']:.3f} | {part['hacked']:.3f} | "
                f"{part['negative']:.3f} | {part['mean_rho']:.3f} |"
            )
    return lines
