"""Options and printing that the export commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_ttp.cli.output import emit_json

Data = Annotated[list[Path], typer.Option("--data", help="File of texts (JSON lines). Repeat for several.")]
Pools = Annotated[list[Path], typer.Option("--pools", help="File made by `export pools`. Repeat for several.")]
EncoderFolder = Annotated[Path, typer.Option("--encoder", help="Folder made by `export reward encoder`.")]
SalienceFolder = Annotated[Path, typer.Option("--salience", help="Folder made by `export reward salience`.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads. Default: all.")]
WorkerThreads = Annotated[
    int | None, typer.Option(min=1, help="CPU threads of a worker. Default: all for one worker, else 1.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there already.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
On = Annotated[
    str,
    typer.Option("--on", metavar="local|ray[:ADDRESS]", help="Where: this machine, or a Ray cluster (extra: scale)."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, max=4096, help="Most workers at once. Default: 1; on Ray all that there is room for."
    ),
]


def worker_threads(on: str, workers: int | None, threads: int | None) -> int | None:
    """Threads of each worker, torch's: None, which is all of them, for a single one, else 1."""
    return threads or (None if on == "local" and (workers or 1) == 1 else 1)


def threads_for(on: str, workers: int | None, threads: int | None) -> int:
    """Threads of each worker: all cores for a single one, else 1."""
    from edge_ttp.reward.session import default_threads

    return worker_threads(on, workers, threads) or default_threads()


def reward_folder(model: str) -> Path:
    """The folder of a reward model: a name in the model store, or the folder itself. Raises as Registry.locate."""
    from edge_ttp.paths import locate
    from edge_ttp.registry.model_store import Registry

    return Registry(locate()).reward_folder(model)


def print_result(value: dict[str, Any], as_json: bool, line: str) -> None:
    """The result, as one JSON object or as a line."""
    if as_json:
        emit_json(value)
    else:
        typer.echo(line)
