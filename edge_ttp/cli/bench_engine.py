"""`edge-ttp bench engine`: settings of llama.cpp that might make it faster, beside those that the engine has."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.output import emit_json, note, print_table, progress
from edge_ttp.errors import Cancelled, InvalidInput


def engine(
    only: Annotated[list[str] | None, typer.Option("--only", metavar="NAME", help="May be repeated.")] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Pairs to take the medians over.")] = 5,
    prompt: Annotated[int, typer.Option("--prompt", min=32, max=8192, help="Tokens of the prompt.")] = 600,
    rows: Annotated[list[int] | None, typer.Option("--rows", help="Widths of decode steps. Default: 1 8 32.")] = None,
    gpu_layers: Annotated[int, typer.Option("--gpu-layers", min=0, help="Of both sides. Default: the CPU alone.")] = 0,
    model: options.Model = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Flash attention, caches of 8 bits, n_ubatch, thread pools, spinning, huge pages: times faster than the engine.

    Each setting runs in a process of its own beside one with the engine's settings, in turns; medians of the pairs'
    ratios. Above 1 is faster. Ctrl-C ends with the settings that were measured whole.
    """
    from edge_ttp.budget.device import cores
    from edge_ttp.lab.bench.engine_rounds import Trying
    from edge_ttp.lab.bench.engine_settings import ROWS, SETTINGS, STEPS, measure
    from edge_ttp.paths import locate
    from edge_ttp.registry import DEFAULT_POLICY, Registry

    names = [one.name for one in SETTINGS]
    unknown = [name for name in only or [] if name not in names]
    if unknown:
        raise InvalidInput(f"no setting is called {unknown[0]!r}", f"choose from {', '.join(names)}")
    widths = tuple(sorted(set(rows or ROWS)))
    if widths[0] < 1 or widths[-1] > 128:
        raise InvalidInput(f"rows={list(widths)} is out of range", "choose each from 1 to 128")
    found = Registry(locate()).locate(model or DEFAULT_POLICY, kind="policy")
    own = Trying(str(found.path), threads or cores(), prompt, widths, STEPS, gpu_layers=gpu_layers)
    wanted = [one for one in SETTINGS if only is None or one.name in only]
    with options.interruptible() as cancel, progress("measuring", len(wanted) * rounds, "pairs") as advance:
        table = measure(own, wanted, rounds=rounds, advance=advance, cancel=cancel)
    if not table:
        raise Cancelled("interrupted before one setting was measured")
    if as_json:
        emit_json({"rows": [row.as_dict() for row in table], "model": found.name, "threads": own.threads})
        return
    print_table(
        ("setting", "what", "reading", *(f"{width} rows" for width in widths), "spread"),
        [
            (
                row.name,
                row.words,
                f"{row.read:.2f}",
                *(f"{row.steps[width]:.2f}" for width in widths),
                f"{row.spread:.2f}",
            )
            for row in table
        ],
    )
    note(f"times faster than the engine's own settings; {found.name}, {own.threads} threads, {prompt} tokens")
