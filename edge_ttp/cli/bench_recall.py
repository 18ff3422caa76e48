"""`edge-ttp bench recall`: what recalled examples are worth, by number, choice and order, on a corpus's tune users."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.bench_pools import Corpus, EnglishTask, Judge, Pools, drawn_and_judged, in_words
from edge_ttp.cli.output import emit_json, note, print_table
from edge_ttp.errors import InvalidInput


def recall(
    pools: Pools,
    data: Corpus = None,
    model: options.Model = None,
    task: EnglishTask = None,
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
    only_numbers: Annotated[
        bool, typer.Option("--only-numbers", help="Draw 0, 1, 2, 4 and 8 examples alone: a third of the time.")
    ] = False,
    reward: Judge = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Utility by the number of recalled examples (0 to 8), their choice and their order; long and short texts apart.

    Draws what --pools lacks, and may be interrupted and run again to go on. The last column is what examples are worth,
    in units of the utility's spread; what the planner is to reckon with follows the table: shrunk, and never less for
    more examples. Intervals: central 95%, users resampled. `read`: tokens that a user's second request reads.
    """
    from edge_ttp.lab.bench import recall_grid, worth_tables

    if only_numbers and core:
        raise InvalidInput("--only-numbers and --core draw different prompts", "give one of them")

    found, judge = drawn_and_judged(
        lambda policy: recall_grid.GridRecipe(
            policy.sha256,
            policy.prompt_style or "few-shot",
            temperature,
            n=n,
            cores=tuple(core or ()),
            beside=tuple(beside or recall_grid.BESIDE) if core else (),
            numbers=recall_grid.ALONE if only_numbers else (),
        ),
        recall_grid.draw,
        recall_grid.judge,
        pools,
        data=data,
        model=model,
        reward=reward,
        task=task,
        queries=queries,
        threads=threads,
    )
    table = recall_grid.rows(found)
    planned = worth_tables.of(table)
    if as_json:
        emit_json({"rows": [row.as_dict() for row in table], "worth": planned})
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
                in_words(row.over_none),
                in_words(row.over_default),
                f"{row.worth:+.2f} ({row.worth_low:+.2f} to {row.worth_high:+.2f})",
            )
            for row in table
        ],
    )
    for texts, steps in planned.items():
        note(f"{texts} texts, for the planner: {', '.join(f'{count}: {value:.2f}' for count, value in steps)}")
    note(f"mean over 0: the pool's mean; over BM25 4: what is chosen; reward model {judge}")
