"""`edge-ttp bench latency`: how long a person waits for an answer, and for what."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.bench_rivals import ground_of
from edge_ttp.cli.output import emit_json, note, print_table, progress
from edge_ttp.errors import Cancelled


def latency(
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Requests by each way, in turns.")] = 9,
    n: Annotated[int, typer.Option("--n", min=1, max=64, help="Candidates of each request.")] = 8,
    tokens: Annotated[int, typer.Option("--tokens", min=1, max=2048, help="Longest of them.")] = 24,
    prompts: Annotated[int, typer.Option("--prompts", min=1, help="Different requests, of as many users.")] = 3,
    model: options.Model = None,
    data: options.Data = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """The whole command as a person waits for it: a cold process, a warm one, a warm server; split into its parts.

    The same request by all three in every round, over one home that is thrown away; medians. Ctrl-C ends with the
    rounds that were measured whole.
    """
    from edge_ttp.lab.bench.latency import PARTS, WAYS, waits
    from edge_ttp.lab.bench.tasks import chosen_tasks

    ground = ground_of(model, threads, tokens, n)
    tasks = chosen_tasks(options.data_folder(data), prompts)
    with options.interruptible() as cancel, progress("measuring", rounds * len(WAYS), "requests") as advance:
        table = waits(ground, tasks, n=n, tokens=tokens, rounds=rounds, advance=advance, cancel=cancel)
    if not table:
        raise Cancelled("interrupted before one round was measured")
    if as_json:
        emit_json({"rows": [row.as_dict() for row in table], "n": n, "tokens": tokens, "threads": ground.threads})
        return
    print_table(
        ("", "seconds", *PARTS, "of cold"),
        [
            (row.way, f"{row.seconds:.2f}", *(f"{row.parts[part]:.3f}" for part in PARTS), f"{row.of_cold:.0%}")
            for row in table
        ],
    )
    note(f"{ground.model}, {ground.threads} threads, n={n}, {tokens} tokens, medians of {table[0].rounds} rounds")
