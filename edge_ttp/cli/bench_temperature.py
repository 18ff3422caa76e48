"""`edge-ttp bench temperature`: which temperature to draw a policy's candidates at, by a corpus's tune users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.bench_pools import Corpus, EnglishTask, Judge, Pools, drawn_and_judged, in_words
from edge_ttp.cli.output import emit_json, note, print_table

if TYPE_CHECKING:
    from edge_ttp.lab.bench.ladders import Row

REFERENCE = "0.8"
"""The temperature that others are compared with: the default before any was measured."""


def temperature(
    pools: Pools,
    data: Corpus = None,
    model: options.Model = None,
    task: EnglishTask = None,
    queries: Annotated[int, typer.Option("--queries", min=0, help="Tune users' queries a task; 0 draws none.")] = 40,
    n: Annotated[int, typer.Option("--n", min=4, max=60, help="Candidates at each temperature.")] = 32,
    reward: Judge = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Chosen utility against the greedy answer's, by temperature and N, on the latest items of tune users.

    Draws what --pools lacks, and may be interrupted and run again to go on. The winner belongs in the policy's
    manifest. Intervals: central 95%, users resampled.
    """
    from edge_ttp.lab.bench import ladders
    from edge_ttp.lab.bench import temperature as measurement

    found, judge = drawn_and_judged(
        lambda policy: measurement.TemperatureRecipe(policy.sha256, policy.prompt_style or "few-shot", n=n),
        measurement.draw,
        measurement.judge,
        pools,
        data=data,
        model=model,
        reward=reward,
        task=task,
        queries=queries,
        threads=threads,
    )
    table = ladders.rows(found, REFERENCE)
    winner = ladders.best(table)
    if as_json:
        emit_json({"rows": [row.as_dict() for row in table], "best": winner, "reference": REFERENCE})
        return
    _print(table)
    note(f"best over N = 8, 16 and 32, all queries together: {winner}; reward model {judge}")


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
                in_words(row.gain),
                in_words(row.over_default),
            )
            for row in table
        ],
    )
