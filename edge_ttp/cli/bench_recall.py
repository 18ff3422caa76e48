"""`edge-ttp bench recall`: what recalled examples are worth, by number, choice and order, on a corpus's tune users."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.bench_temperature import ALL_QUERIES, corpus_folder, told
from edge_ttp.cli.options import DATA_VARIABLE
from edge_ttp.cli.output import emit_json, note, print_table, progress
from edge_ttp.errors import InvalidInput


def recall(
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
    queries: Annotated[int, typer.Option("--queries", min=0, help="Tune users' queries a task; 0 draws none.")] = 200,
    n: Annotated[int, typer.Option("--n", min=2, max=64, help="Candidates from each prompt.")] = 8,
    temperature: Annotated[float, typer.Option("--temperature", min=0.05, help="Of the candidates.")] = 0.5,
    core: Annotated[
        list[int] | None,
        typer.Option("--core", min=1, help="A core of so many stands first in every prompt instead. May be repeated."),
    ] = None,
    beside: Annotated[
        list[int] | None, typer.Option("--beside", min=0, help="Recalled examples behind a core. Default: 0 1 2 4.")
    ] = None,
    reward: Annotated[str | None, typer.Option("--reward", help="Reward model. Default: the default one.")] = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Utility by the number of recalled examples (0 to 8), their choice and their order; long and short texts apart.

    Draws what --pools lacks, and may be interrupted and run again to go on. The planner's worth of examples is the last
    column. Intervals: central 95%, users resampled. `read`: tokens that a user's
    second request reads.
    """
    from edge_ttp.budget.device import cores
    from edge_ttp.lab.bench import recall_grid
    from edge_ttp.lab.bench.corpus import queries as choose
    from edge_ttp.lab.bench.corpus import tasks_of
    from edge_ttp.lab.bench.resumable import Resumable
    from edge_ttp.lab.bench.scored_pools import TUNE
    from edge_ttp.lab.bench.temperature import TASKS
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
        wanted = choose(folder, task or TASKS, tenths=TUNE, count=queries)
        recipe = recall_grid.GridRecipe(
            located.sha256,
            located.prompt_style or "few-shot",
            temperature,
            n=n,
            cores=tuple(core or ()),
            beside=tuple(beside or recall_grid.BESIDE) if core else (),
        )
        policy = LlamaPolicy(located.path, threads=threads or cores())
        try:
            with options.interruptible() as cancel, progress("drawing", len(wanted), "queries") as advance:
                held = recall_grid.draw(policy, wanted, pools[0], recipe, advance=advance, cancel=cancel)
        finally:
            policy.close()
        note(f"{pools[0]} holds the grids of {held} queries")
    judging = RewardModel.load(registry.locate(reward or DEFAULT_REWARD, kind="reward").path, threads=threads)
    found: dict[tuple[str, str, int], recall_grid.GridResult] = {}
    for file in pools:
        _, drawn = Resumable.read(file)
        asked = [one for one in choose(folder, tasks_of(drawn), tenths=TUNE, count=ALL_QUERIES) if one.key in drawn]
        with options.interruptible() as cancel, progress(f"judging {file.name}", len(asked), "queries") as advance:
            found |= recall_grid.judge(judging, asked, file, advance=advance, cancel=cancel)
    if not found:
        raise InvalidInput("the files hold no grids", "draw some with --queries")
    table = recall_grid.rows(found)
    if as_json:
        emit_json({"rows": [row.as_dict() for row in table]})
        return
    print_table(
        (
            *("texts", "prompt", "queries", "users", "read", "greedy", "mean", "chosen"),
            "mean over none",
            "over BM25 4",
            "worth",
        ),
        [
            (
                row.texts,
                row.prompt,
                str(row.queries),
                str(row.users),
                "" if row.anew is None else f"{row.anew:.0f}",
                *(f"{value:.3f}" for value in (row.greedy, row.mean, row.chosen)),
                told(row.over_none),
                told(row.over_default),
                f"{row.worth:.2f}",
            )
            for row in table
        ],
    )
    note(f"mean over 0: the pool's mean; over BM25 4: what is chosen; reward model {judging.name}")
