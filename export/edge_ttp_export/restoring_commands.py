"""`edge-ttp export small-words`: the network that puts small words back into notes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_ttp.cli.options import DATA_VARIABLE
from edge_ttp.cli.output import note
from edge_ttp.errors import InvalidInput
from edge_ttp_export.command_options import Force, Json, Seed, Threads, print_result
from edge_ttp_export.extra import need_torch


def small_words(
    *,
    out: Annotated[Path, typer.Option(help="File to write: .npz.")],
    data: Annotated[
        Path | None, typer.Option("--data", help=f"Folder of many users' texts, JSONL. Default: {DATA_VARIABLE}.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="May be repeated. Default: all but left out.")
    ] = None,
    language: Annotated[str, typer.Option(help="Of the texts that are taken: en, de ...")] = "en",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the texts.")] = 5,
    seed: Seed = 1,
    threads: Threads = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train the network that puts small words back into notes, on train users' texts, in a minute or two.

    `edge-ttp rewrite` uses the one of its language that is in the package: edge_ttp/answer/restoring_LANGUAGE.npz.
    """
    need_torch(threads)
    import numpy as np

    from edge_ttp.answer.small_words import FUNCTION
    from edge_ttp.cli.bench_pools import corpus_folder
    from edge_ttp.lab.bench.corpus import tasks_in
    from edge_ttp.system.output_file import output_file, prepared_output
    from edge_ttp_export.policy.voice_run import LEFT_OUT
    from edge_ttp_export.restoring_run import run_restoring

    if language not in FUNCTION:
        raise InvalidInput(f"{language!r} has no list of small words", f"choose from {', '.join(FUNCTION)}")
    folder = corpus_folder(data)
    tasks = task or [one for one in tasks_in(folder) if one not in LEFT_OUT]
    prepared_output(out, force=force)
    arrays, measured = run_restoring(folder, tasks, language, epochs=epochs, seed=seed, report=note)
    with output_file(out, force=force) as stream:
        np.savez_compressed(stream, **arrays)
    line = f"{out}: {measured['loss_tune']:.3f} nats a place of tune users, {measured['loss_tune_of_rates_alone']:.3f}"
    print_result({"file": str(out), "tasks": tasks, **measured}, as_json, f"{line} by the usual rates alone")
