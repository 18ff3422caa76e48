"""`edge-ttp bench temperature`: which temperature to draw a policy's candidates at, by a corpus's tune users."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.options import DATA_VARIABLE
from edge_ttp.cli.output import emit_json, note, print_table, progress
from edge_ttp.errors import InvalidInput

if TYPE_CHECKING:
    from edge_ttp.lab.bench.ladders import Difference, Row

REFERENCE = "0.8"
"""The temperature that others are compared with: the default before any was measured."""

ALL_QUERIES = 10**9


def temperature(
    pools: Annotated[
        list[Path],
        typer.Option("--pools", help="File for what is drawn, to go on with later. Several are judged together."),
    ],
    data: Annotated[
        Path | None, typer.Option("--data", help=f"Folder of the users' texts. Default: {DATA_VARIABLE}.")
    ] = None,
    model: options.Model = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="May be repeated. Default: seven English ones.")
    ] = None,
    queries: Annotated[int, typer.Option("--queries", min=0, help="Tune users' queries a task; 0 draws none.")] = 40,
    n: Annotated[int, typer.Option("--n", min=4, max=60, help="Candidates at each temperature.")] = 32,
    reward: Annotated[str | None, typer.Option("--reward", help="Reward model. Default: the default one.")] = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Chosen utility against the greedy answer's, by temperature and N, on the latest items of tune users.

    Draws what --pools lacks, and may be interrupted and run again to go on. The winner belongs in the policy's
    manifest. Intervals: central 95%, users resampled.
    """
    from edge_ttp.budget.device import cores
    from edge_ttp.lab.bench import ladders
    from edge_ttp.lab.bench import temperature as measurement
    from edge_ttp.lab.bench.corpus import queries as choose
    from edge_ttp.lab.bench.corpus import tasks_of
    from edge_ttp.lab.bench.resumable import Resumable
    from edge_ttp.lab.bench.scored_pools import TUNE
    from edge_ttp.paths import locate
    from edge_ttp.policy.llama import LlamaPolicy
    from edge_ttp.registry import DEFAULT_POLICY, DEFAULT_REWARD, Registry
    from edge_ttp.reward.model import RewardModel

    folder = corpus_folder(data)
    registry = Registry(locate())
    located = registry.locate(model or DEFAULT_POLICY, kind="policy")
    if queries:
        if len(pools) > 1:
            raise InvalidInput("one run draws into one file", "give one --pools, or --queries 0 to judge several")
        wanted = choose(folder, task or measurement.TASKS, tenths=TUNE, count=queries)
        recipe = measurement.TemperatureRecipe(located.sha256, located.prompt_style or "few-shot", n=n)
        policy = LlamaPolicy(located.path, threads=threads or cores())
        try:
            with options.interruptible() as cancel, progress("drawing", len(wanted), "queries") as advance:
                held = measurement.draw(policy, wanted, pools[0], recipe, advance=advance, cancel=cancel)
        finally:
            policy.close()
        note(f"{pools[0]} holds the pools of {held} queries")
    judging = RewardModel.load(registry.locate(reward or DEFAULT_REWARD, kind="reward").path, threads=threads)
    found: dict[tuple[str, str, int], tuple[float, dict[str, dict[int, ladders.JudgedPool]]]] = {}
    for file in pools:
        _, drawn = Resumable.read(file)
        asked = [one for one in choose(folder, tasks_of(drawn), tenths=TUNE, count=ALL_QUERIES) if one.key in drawn]
        with options.interruptible() as cancel, progress(f"judging {file.name}", len(asked), "queries") as advance:
            found |= measurement.judge(judging, asked, file, advance=advance, cancel=cancel)
    if not found:
        raise InvalidInput("the files hold no pools", "draw some with --queries")
    table = ladders.rows(found, REFERENCE)
    winner = ladders.best(table)
    if as_json:
        emit_json({"rows": [row.as_dict() for row in table], "best": winner, "reference": REFERENCE})
        return
    _print(table)
    note(f"best over N = 8, 16 and 32, all queries together: {winner}; reward model {judging.name}")


def _print(table: Sequence[Row]) -> None:
    print_table(
        (
            "task",
            "T",
            "N",
            "queries",
            "users",
            "greedy",
            "chosen",
            "mean",
            "oracle",
            "over greedy",
            f"over {REFERENCE}",
        ),
        [
            (
                row.task,
                row.arm,
                str(row.n),
                str(row.queries),
                str(row.users),
                *(f"{value:.3f}" for value in (row.greedy, row.chosen, row.mean, row.oracle)),
                told(row.gain),
                told(row.over_default),
            )
            for row in table
        ],
    )


def told(one: Difference) -> str:
    """A difference with its interval and its standard error."""
    return f"{one.mean:+.3f} ({one.low:+.3f} to {one.high:+.3f}; se {one.error:.3f})"


def corpus_folder(data: Path | None) -> Path:
    """The folder of the corpus. Raises InvalidInput where none is named."""
    folder = options.data_folder(data)
    if folder is None or not folder.is_dir():
        raise InvalidInput("the folder of the users' texts is not named", f"point --data or {DATA_VARIABLE} to it")
    return folder
