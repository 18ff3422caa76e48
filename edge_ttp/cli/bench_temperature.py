"""`edge-ttp bench temperature`: which temperature a policy's candidates should be drawn at, on a corpus's tune users."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.bench_adapt import DATA_VARIABLE
from edge_ttp.cli.output import note, progress
from edge_ttp.errors import InvalidInput


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
    threads: options.Threads = None,
) -> None:
    """Draws for tune users' latest items at several temperatures. May be interrupted, and run again to go on."""
    from edge_ttp.budget.device import cores
    from edge_ttp.lab.bench import temperature as measurement
    from edge_ttp.lab.bench.corpus import queries as choose
    from edge_ttp.lab.bench.scored_pools import TUNE
    from edge_ttp.paths import locate
    from edge_ttp.policy.llama import LlamaPolicy
    from edge_ttp.registry import DEFAULT_POLICY, Registry

    folder = corpus_folder(data)
    located = Registry(locate()).locate(model or DEFAULT_POLICY, kind="policy")
    if queries:
        if len(pools) > 1:
            raise InvalidInput("one run draws into one file", "give one --pools, or --queries 0 to judge several")
        wanted = choose(folder, task or measurement.TASKS, tenths=TUNE, count=queries)
        recipe = measurement.Recipe(located.sha256, located.prompt_style or "few-shot", n=n)
        policy = LlamaPolicy(located.path, threads=threads or cores())
        try:
            with options.interruptible() as cancel, progress("drawing", len(wanted), "queries") as advance:
                held = measurement.draw(policy, wanted, pools[0], recipe, advance=advance, cancel=cancel)
        finally:
            policy.close()
        note(f"{pools[0]} holds the pools of {held} queries")


def corpus_folder(data: Path | None) -> Path:
    """The folder of the corpus. Raises InvalidInput where none is named."""
    folder = data or (Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None)
    if folder is None or not folder.is_dir():
        raise InvalidInput("the folder of the users' texts is not named", f"point --data or {DATA_VARIABLE} to it")
    return folder
