"""`edge-ttp bench trial`: what trying a model file from outside costs, once and afterwards."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.output import emit_json, print_table, progress


def trial(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL", help="Names or files. Default: the default models.")
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Trials of each, of which the median counts.")] = 3,
    as_json: options.AsJson = False,
) -> None:
    """Seconds to try models in a process of their own, as if they had come from outside: once, and afterwards."""
    from dataclasses import asdict

    from edge_ttp.lab.bench import trial_cost
    from edge_ttp.paths import locate
    from edge_ttp.registry import DEFAULT_POLICY, DEFAULT_REWARD, Registry

    registry = Registry(locate())
    located = [registry.locate(name) for name in models or (DEFAULT_POLICY, DEFAULT_REWARD)]
    with progress("trying", len(located) * rounds, "trials") as advance:
        costs = trial_cost.measure(located, rounds=rounds, advance=advance)
    if as_json:
        emit_json({"rounds": rounds, "models": [asdict(one) for one in costs]})
        return
    print_table(
        ("model", "MB", "SHA-256 (s)", "trial (s)", "afterwards (ms)"),
        [
            (one.name, f"{one.size / 1e6:.0f}", f"{one.hash_s:.2f}", f"{one.trial_s:.2f}", f"{one.known_s * 1e3:.1f}")
            for one in costs
        ],
    )
