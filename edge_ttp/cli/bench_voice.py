"""`edge-ttp bench voice`: how well users of a corpus are told apart by voice alone, on its tune users; blind pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.bench_pools import corpus_folder
from edge_ttp.cli.options import DATA_VARIABLE
from edge_ttp.cli.output import emit_json, note, print_table, progress
from edge_ttp.errors import InvalidInput
from edge_ttp.system.output_file import checked_output, text_output


def voice(
    data: Annotated[
        Path | None, typer.Option("--data", help=f"Folder of the users' texts. Default: {DATA_VARIABLE}.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option("--task", help="May be repeated. Default: all.")] = None,
    bag: Annotated[list[int] | None, typer.Option("--bag", min=1, help="Texts scored together. Default: 1 8.")] = None,
    users: Annotated[int, typer.Option("--users", min=3, help="Most users of a task.")] = 24,
    page: Annotated[
        Path | None, typer.Option("--page", help="Write a blind page for people to judge. Its key goes beside it.")
    ] = None,
    pools: Annotated[
        Path | None, typer.Option("--pools", help="With --page: answers drawn by `bench quality`, to be judged too.")
    ] = None,
    verdicts: Annotated[
        Path | None, typer.Option("--verdicts", help="What somebody judged on --page, saved from there: tell the sums.")
    ] = None,
    force: options.Force = False,
    as_json: options.AsJson = False,
) -> None:
    """Own held-back texts against strangers', content words masked: AUC and standardized difference by bag size.

    Both halves of each user's texts are held back in turn. Verifiers: character n-grams, a learned encoder, and the
    parts of a voice by n-grams.
    """
    from edge_ttp.lab.bench import corpus, voice_page
    from edge_ttp.lab.bench.halves import halves
    from edge_ttp.lab.bench.scored_pools import TUNE
    from edge_ttp.lab.bench.voice_scale import separation

    if verdicts is not None:
        if page is None:
            raise InvalidInput("the page that was judged is not named", "give its --page too")
        told = voice_page.tally(voice_page.read_key(page), voice_page.read_verdicts(verdicts))
        if as_json:
            emit_json({"rows": told})
            return
        print_table(
            ("texts", "judged", "taken for the user's"),
            [(str(row["origin"]), str(row["judged"]), f"{row['taken']:.0%}") for row in told],
        )
        return
    folder = corpus_folder(data)
    if page is not None:
        for path in (page, voice_page.key_of(page)):
            checked_output(path, force=force)
        sheets = voice_page.sheets(folder, task or None, pools)
        for path, text in ((page, voice_page.html(sheets)), (voice_page.key_of(page), voice_page.key(sheets))):
            with text_output(path, force=force) as written:
                written.write(text)
        note(f"wrote {page} with {len(sheets)} users; what is whose is in {voice_page.key_of(page).name}: do not look")
        return
    tasks = task or corpus.tasks_in(folder)
    rows = []
    with progress("comparing", len(tasks), "tasks") as advance:
        for number, one in enumerate(tasks, 1):
            found = corpus.read_users(corpus.task_file(folder, one), tenths=TUNE)
            whole = {user: [item for item in items if item.output.strip()] for user, items in found.items()}
            texts = {}
            for user, items in sorted(whole.items())[:users]:
                first, second = halves(items)
                texts[user] = ([item.output for item in first], [item.output for item in second])
            rows += separation(one, texts, bag or [1, 8])
            advance(number)
    if not rows:
        raise InvalidInput("no task has three users with enough texts", "give longer histories, or a smaller --bag")
    if as_json:
        emit_json({"rows": [row.as_dict() for row in rows]})
        return
    print_table(
        ("task", "verifier", "bag", "users", "AUC", "difference, sd"),
        [
            (row.task, row.verifier, str(row.bag), str(row.users), f"{row.auc:.2f}", f"{row.difference:+.2f}")
            for row in rows
        ],
    )
    note("tune users; own texts against strangers' of the same task, each by the half of the user's that was held back")
