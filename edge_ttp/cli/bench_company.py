"""`edge-ttp bench company`: a short request beside those of other users."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.output import emit_json, note, print_table, progress
from edge_ttp.errors import Cancelled, InvalidInput


def company(
    others: Annotated[list[int] | None, typer.Option("--others", help="May be repeated. Default: 1 4 16.")] = None,
    n: Annotated[int, typer.Option("--n", min=1, max=256, help="Candidates that each of the others draws.")] = 8,
    tokens: Annotated[int, typer.Option("--tokens", min=1, max=8192, help="Longest of their candidates.")] = 32,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Rounds to take the medians over.")] = 3,
    model: options.Model = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """What a short request takes beside long ones of other users, and what all get done together.

    By turns, against one after another in the order they came, in the same run. Nothing is stored.
    """
    from edge_ttp.lab.bench.company import company as measure
    from edge_ttp.runtime import Runtime

    counts = others or [1, 4, 16]
    if min(counts) < 1 or max(counts) > 64:
        raise InvalidInput(f"others={counts} is out of range", "choose each from 1 to 64")
    with Runtime.open(model=model, threads=threads) as runtime:
        runtime.warm(rule="first")
        with options.interruptible() as cancel, progress("measuring", rounds * len(counts), "rounds") as advance:
            rows = measure(runtime, counts, n=n, tokens=tokens, rounds=rounds, advance=advance, cancel=cancel)
    if not rows:
        raise Cancelled("interrupted before one number of others was measured")
    if as_json:
        emit_json({"rows": [row.as_dict() for row in rows], "n": n, "tokens": tokens, "rounds": rounds})
        return
    print_table(
        (
            "others",
            "alone s",
            "queued s",
            "by turns s",
            "queued tokens/s",
            "by turns tokens/s",
            "ratio",
            "effort",
            "same",
        ),
        [
            (
                str(row.others),
                f"{row.alone_s:.2f}",
                f"{row.queued_s:.2f}",
                f"{row.turns_s:.2f}",
                f"{row.queued_rate:.0f}",
                f"{row.turns_rate:.0f}",
                f"{row.throughput:.3f}",
                f"{row.effort:.3f}",
                "yes" if row.same else "no",
            )
            for row in rows
        ],
    )
    note(
        "a short request (N=1) that comes after the others; ratio: of tokens a second; effort: of tokens a second of "
        "processor time; same: every seed said the same in both ways"
    )
