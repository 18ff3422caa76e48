"""`edge-ttp bench rewrite`: how well texts are said again, against what users really wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.bench_temperature import corpus_folder
from edge_ttp.cli.options import DATA_VARIABLE
from edge_ttp.cli.output import emit_json, print_table, progress
from edge_ttp.errors import Cancelled, InvalidInput


def rewrite(
    data: Annotated[
        Path | None, typer.Option("--data", help=f"Folder of the users' texts. Default: {DATA_VARIABLE}.")
    ] = None,
    model: options.Model = None,
    reward: options.Reward = None,
    task: Annotated[list[str] | None, typer.Option("--task", help="May be repeated. Default: all.")] = None,
    queries: Annotated[int, typer.Option("--queries", min=1, help="Report users' texts a task.")] = 5,
    n: options.Count = None,
    seconds: Annotated[float | None, typer.Option("--seconds", min=0.1, help="For each way and text.")] = None,
    adapter: Annotated[Path | None, typer.Option("--lora", help="An adapter (GGUF) to compare with.")] = None,
    depth: Annotated[str, typer.Option("--depth", metavar="flat|words|sparse", help="How plain.")] = "words",
    keep: Annotated[str, typer.Option("--keep", metavar="strict|loose", help="As in `rewrite`.")] = "loose",
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Utility against the true text, facts kept, and edits left, on the latest texts of report users made plain.

    Compares the plain text itself, greedy and best of N, without and with an adapter, each in the same seconds.
    """
    from edge_ttp.answer.outline import DEPTHS

    if depth not in DEPTHS or keep not in ("strict", "loose"):
        raise InvalidInput(f"--depth {depth} --keep {keep} is not known", "see the help")
    if adapter is not None and not adapter.is_file():
        raise InvalidInput(f"there is no adapter {str(adapter)!r}", "name a GGUF file")
    from edge_ttp.lab.bench import said_again
    from edge_ttp.lab.bench.corpus import queries as choose
    from edge_ttp.lab.bench.corpus import tasks_in
    from edge_ttp.lab.bench.scored_pools import REPORT
    from edge_ttp.paths import locate
    from edge_ttp.registry import DEFAULT_POLICY, Registry

    folder = corpus_folder(data)
    wanted = choose(folder, task or tasks_in(folder), tenths=REPORT, count=queries)
    if not wanted:
        raise InvalidInput("the corpus has no report users", "name a larger one")
    located = Registry(locate()).locate(model or DEFAULT_POLICY, kind="policy")
    with options.interruptible() as cancel, progress("saying again", len(wanted), "texts") as advance:
        found = said_again.measure(
            wanted,
            said_again.ways(n, seconds, adapter),
            depth=depth,
            keep=keep,  # type: ignore[arg-type]
            options={"model": str(located.path), "reward": reward, "threads": threads},
            advance=advance,
            cancel=cancel,
        )
    rows = said_again.table(found)
    if as_json:
        emit_json({"rows": rows, "depth": depth, "keep": keep})
    else:
        print_table(
            ("way", "texts", "utility", "facts kept", "edits per character", "seconds"),
            [
                (
                    row["way"],
                    str(row["texts"]),
                    f"{row['utility']:.3f} (se {row['error']:.3f})",
                    f"{row['facts_kept']:.0%}",
                    f"{row['edits']:.2f}",
                    f"{row['seconds']:.1f}",
                )
                for row in rows
            ],
        )
    if cancel.is_set():
        raise typer.Exit(Cancelled.exit_code)
