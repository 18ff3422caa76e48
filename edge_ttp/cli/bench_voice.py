"""`edge-ttp bench voice`: how well users of a corpus are told apart by voice alone, on its tune users."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.bench_temperature import corpus_folder
from edge_ttp.cli.options import DATA_VARIABLE
from edge_ttp.cli.output import emit_json, note, print_table, progress
from edge_ttp.errors import InvalidInput


def voice(
    data: Annotated[
        Path | None, typer.Option("--data", help=f"Folder of the users' texts. Default: {DATA_VARIABLE}.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option("--task", help="May be repeated. Default: all.")] = None,
    bag: Annotated[list[int] | None, typer.Option("--bag", min=1, help="Texts scored together. Default: 1 8.")] = None,
    users: Annotated[int, typer.Option("--users", min=3, help="Most users of a task.")] = 24,
    as_json: options.AsJson = False,
) -> None:
    """Own held-back texts against strangers', content words masked: AUC and standardized difference by bag size."""
    from edge_ttp.lab.bench import corpus
    from edge_ttp.lab.bench.scored_pools import TUNE
    from edge_ttp.lab.bench.voice_score import separation

    folder = corpus_folder(data)
    tasks = task or corpus.tasks_in(folder)
    rows = []
    with progress("comparing", len(tasks), "tasks") as advance:
        for number, one in enumerate(tasks, 1):
            found = corpus.read_users(corpus.task_file(folder, one), tenths=TUNE)
            texts = {user: [item.output for item in items][-64:] for user, items in sorted(found.items())[:users]}
            rows += separation(one, texts, bag or [1, 8])
            advance(number)
    if not rows:
        raise InvalidInput("no task has three users with enough texts", "give longer histories, or a smaller --bag")
    if as_json:
        emit_json({"rows": [row.as_dict() for row in rows]})
        return
    print_table(
        ("task", "bag", "users", "AUC", "difference, sd"),
        [(row.task, str(row.bag), str(row.users), f"{row.auc:.2f}", f"{row.difference:+.2f}") for row in rows],
    )
    note("tune users; own held-back texts against strangers' of the same task, each scored by the user's earlier ones")
