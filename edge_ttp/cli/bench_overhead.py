"""`edge-ttp bench overhead`: what the server costs over the Python API, and the command line beside it."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.bench_rivals import ground_of
from edge_ttp.cli.output import emit_json, note, print_table, progress
from edge_ttp.errors import Cancelled


def overhead(
    pairs: Annotated[int, typer.Option("--pairs", min=1, help="Requests by each way, in turns.")] = 30,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Of four users at once, by each way.")] = 10,
    commands: Annotated[int, typer.Option("--commands", min=1, help="Runs of the command line.")] = 20,
    n: Annotated[int, typer.Option("--n", min=1, max=64, help="Candidates of each request.")] = 4,
    tokens: Annotated[int, typer.Option("--tokens", min=1, max=2048, help="Longest of them.")] = 24,
    model: options.Model = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """What the server adds to a request of the Python API, to four users' throughput, and to the command line.

    The same requests to both in turns, over one home that is thrown away; medians of the pairs.
    """
    from edge_ttp.lab.bench.overhead import AT_ONCE
    from edge_ttp.lab.bench.overhead import overhead as measure

    ground = ground_of(model, threads, tokens, n)
    with (
        options.interruptible() as cancel,
        progress("measuring", pairs + rounds + commands, "steps") as advance,
    ):
        overheads = measure(
            ground, n=n, tokens=tokens, pairs=pairs, rounds=rounds, commands=commands, advance=advance, cancel=cancel
        )
    if overheads is None:
        raise Cancelled("interrupted before all was measured")
    if as_json:
        emit_json({**overheads.as_dict(), "n": n, "tokens": tokens, "commands": commands, "threads": ground.threads})
        return
    api, server = overheads.api_s * 1e3, overheads.server_s * 1e3
    times = f"x {overheads.throughput:.3f}"
    print_table(
        ("", "Python API", "server", "difference"),
        [
            ("a request, ms", f"{api:.1f}", f"{server:.1f}", f"{overheads.added_s * 1e3:+.1f}"),
            ("as a stream, ms", "", "", f"{overheads.streamed_s * 1e3:+.1f}"),
            (f"{AT_ONCE} at once, tokens/s", f"{overheads.api_rate:.0f}", f"{overheads.server_rate:.0f}", times),
            ("command line, start to text, s", "", "", f"{overheads.command_s:.3f}"),
        ],
    )  # fmt: skip
    same = "every seed said the same" if overheads.same else "the texts DIFFER"
    note(
        f"{ground.model}, {ground.threads} threads, n={n}, {tokens} tokens; the command line beyond its drawing; {same}"
    )
