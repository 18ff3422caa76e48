"""`edge-ttp bench rewrite`: how well texts are said again, against what users really wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_ttp.cli import options
from edge_ttp.cli.bench_pools import corpus_folder, in_words
from edge_ttp.cli.options import DATA_VARIABLE
from edge_ttp.cli.output import emit_json, note, print_table, progress
from edge_ttp.errors import Cancelled, InvalidInput

NOTE_WORDS = 60
"""Words of the notes that --speed times."""
LEFT_OUT = ("irc_reply", "podcast_reply", "fr_kaamelott")
"""Tasks that no shipped weights have seen."""


def rewrite(
    data: Annotated[
        Path | None, typer.Option("--data", help=f"Folder of the users' texts. Default: {DATA_VARIABLE}.")
    ] = None,
    model: options.Model = None,
    reward: options.Reward = None,
    adapter: Annotated[
        str | None, typer.Option("--adapter", metavar="NAME|FILE|none", help="Default: the policy's own, if any.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option("--task", help="May be repeated. Default: all.")] = None,
    queries: Annotated[int, typer.Option("--queries", min=1, help="Texts a task.")] = 5,
    skip: Annotated[
        int, typer.Option("--skip", min=0, help="Texts of each task to leave out first: those looked at before.")
    ] = 0,
    against: Annotated[
        str, typer.Option("--against", metavar="WAY", help="What each way is compared with, as the table names it.")
    ] = "as given",
    drawn: Annotated[
        bool, typer.Option("--drawn/--not-drawn", help="What is drawn; or what is made by rule alone, in milliseconds.")
    ] = True,
    speed: Annotated[
        bool, typer.Option("--speed", help="Seconds to a version and to the choice, on notes of 60 words; no corpus.")
    ] = False,
    stock: Annotated[bool, typer.Option("--stock/--no-stock", help="Without the adapter as well.")] = True,
    tune: Annotated[bool, typer.Option("--tune", help="Of tune users: what is chosen is chosen on them.")] = False,
    n: options.Count = None,
    temperature: Annotated[
        list[float] | None, typer.Option("--temperature", help="May be repeated. Default: as the models have it.")
    ] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", min=0.1, help="For each way and text.")] = None,
    depth: Annotated[str, typer.Option("--depth", metavar="flat|words|sparse|stiff", help="How plain.")] = "words",
    keep: Annotated[str, typer.Option("--keep", metavar="words|strict|loose", help="As in `rewrite`.")] = "words",
    pools: Annotated[
        Path | None, typer.Option("--pools", help="Folder of what is drawn, to go on with. Default: in the cache.")
    ] = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Utility against the true text, facts kept, voice, and edits left, on the latest texts of users made plain.

    Compares the plain text itself, greedy and best of N by several rules, without and with the voice adapter. Draws
    what --pools lacks, and may be interrupted and run again to go on. Report users unless --tune. Intervals: central
    95%, users resampled. Facts: texts that keep all; edits: for each character of the true text; voice: chance is .50.
    """
    from edge_ttp.answer.ask import NO_ADAPTER
    from edge_ttp.answer.outline import DEPTHS

    if depth not in (*DEPTHS, "stiff") or keep not in ("words", "strict", "loose"):
        raise InvalidInput(f"--depth {depth} --keep {keep} is not known", "see the help")
    from edge_ttp.lab.bench import said_again
    from edge_ttp.lab.bench.corpus import queries as choose
    from edge_ttp.lab.bench.corpus import tasks_in
    from edge_ttp.lab.bench.scored_pools import REPORT, TUNE
    from edge_ttp.paths import locate
    from edge_ttp.registry import DEFAULT_POLICY, DEFAULT_REWARD, Registry

    paths = locate()
    registry = Registry(paths)
    policy = registry.locate(model or DEFAULT_POLICY, kind="policy") if drawn or speed else None
    voice = None
    if policy is not None and adapter != NO_ADAPTER:
        voice = registry.voice(policy, "rewrite") if adapter is None else registry.adapter(adapter, policy)
    if speed and policy is not None:
        _speed(
            {"model": str(policy.path), "reward": reward, "threads": threads},
            NO_ADAPTER if voice is None else str(voice.path), n=n, seconds=seconds, rounds=queries, as_json=as_json,
        )  # fmt: skip
        return
    folder = corpus_folder(data)
    named, tenths = task or tasks_in(folder), TUNE if tune else REPORT
    looked_at = {one.key for one in choose(folder, named, tenths=tenths, count=skip)} if skip else set()
    found = choose(folder, named, tenths=tenths, count=queries + skip)
    wanted = [one for one in found if one.key not in looked_at]
    if not wanted:
        raise InvalidInput("the corpus has no such users", "name a larger one")
    measured = said_again.Saying(wanted, depth, keep)  # type: ignore[arg-type]  # checked above
    with options.interruptible() as cancel, progress("saying again", len(wanted), "texts") as advance:
        if policy is None:
            judged = said_again.by_rule(measured)
        else:
            path = None if voice is None else str(voice.path)
            files = []
            for way in said_again.ways(n, seconds, path, temperature or (None,), stock=stock):
                with_adapter = voice is not None and way.adapter != NO_ADAPTER
                own = voice.temperatures if voice is not None and with_adapter else ()
                header = {
                    "model": policy.sha256, "adapter": voice.sha256 if voice is not None and with_adapter else "",
                    "depth": depth, "keep": keep, "n": way.n, "seconds": seconds, "reward": reward or DEFAULT_REWARD,
                    "temperatures": [way.temperature]
                    if way.temperature is not None
                    else list(own or policy.temperatures),
                }  # fmt: skip
                files.append((way, said_again.file_of(pools or paths.cache / "bench-rewrite", way, header), header))
            judged = said_again.judged(
                measured,
                said_again.draw(
                    measured, files, advance=advance, cancel=cancel,
                    options={"model": str(policy.path), "reward": reward, "threads": threads},
                ),
            )  # fmt: skip
    if judged and against not in {one.way for one in judged}:
        raise InvalidInput(f"no way is called {against!r}", "choose one of the table's")
    rows = []
    for name, part in said_again.groups(judged, LEFT_OUT):
        heard = said_again.voices(measured, part)
        rows += [{"tasks": name, **row} for row in said_again.table(part, against, heard)] if part else []
    heard = said_again.voices(measured, judged)
    if as_json:
        emit_json({"rows": rows, "voices": heard, "depth": depth, "keep": keep, "users": "tune" if tune else "report"})
    else:
        _print(rows, against)
        if heard:
            note(f"voice of what the users really wrote: {heard['written']:.2f}")
    if cancel.is_set():
        raise typer.Exit(Cancelled.exit_code)


def _print(rows: list[dict[str, Any]], against: str) -> None:
    from edge_ttp.lab.bench.ladders import Difference

    for group in dict.fromkeys(row["tasks"] for row in rows):
        typer.echo(f"{group}:")
        print_table(
            ("way", "texts", "utility", f"over {against}", "facts", "edits", "voice", "seconds"),
            [
                (
                    row["way"],
                    str(row["texts"]),
                    f"{row['utility']:.3f}",
                    in_words(Difference(**row["over"])),
                    f"{row['facts_kept']:.0%}",
                    f"{row['edits']:.2f}",
                    "-" if row["voice"] is None else f"{row['voice']:.2f}",
                    f"{row['seconds']:.1f}",
                )
                for row in rows
                if row["tasks"] == group
            ],
        )


def _speed(
    opened: dict[str, Any], adapter: str, *, n: int | None, seconds: float | None, rounds: int, as_json: bool
) -> None:
    from edge_ttp.lab.bench.rewrite_speed import measure

    with progress("rewriting", rounds, "rounds") as advance:
        found = measure(opened, words=NOTE_WORDS, rounds=rounds, n=n, adapter=adapter, seconds=seconds, advance=advance)
    if as_json:
        emit_json(found.as_dict())
        return
    print_table(
        ("words", "by rule", "first version", "choice", "versions", "rounds"),
        [
            (
                str(found.words),
                f"{1000 * found.by_rule_s:.0f} ms",
                f"{found.first_s:.2f} s",
                f"{found.choice_s:.2f} s",
                f"{found.n:g}",
                str(found.rounds),
            )
        ],
    )
