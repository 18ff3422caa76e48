"""`edge-ttp history`: what a user has written - adding, importing, finding, counting and taking it out again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_ttp.cli.history_generations import generations
from edge_ttp.cli.history_import import import_
from edge_ttp.cli.history_imports import imports, undo_import
from edge_ttp.cli.history_options import (
    STDIN,
    AllUsers,
    AsJson,
    Force,
    Limit,
    User,
    counted,
    open_history,
    plain,
    selected,
    text_table,
    user_named,
)
from edge_ttp.cli.history_ownership import (
    backup,
    decrypt,
    doctor,
    encrypt,
    forget,
    recovery_key,
    restore,
    unlock,
)
from edge_ttp.cli.history_pairs import pairs
from edge_ttp.cli.output import console, emit_json, note

if TYPE_CHECKING:
    pass

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="What a user has written.",
)
app.command("import")(import_)
app.command()(imports)
app.command()(undo_import)
app.command()(generations)
app.command()(pairs)
for _command in (forget, backup, restore, doctor, encrypt, decrypt, recovery_key, unlock):
    app.command()(_command)


@app.command()
def add(
    output: Annotated[str, typer.Option("--output", "-o", help="What the user wrote; `-` reads it from stdin.")],
    given: Annotated[str, typer.Option("--input", "-i", help="What it answers; `-` reads it from stdin.")] = "",
    user: User = None,
    kind: Annotated[str, typer.Option(help="What sort of text it is: email, headline ...")] = "text",
    as_json: AsJson = False,
) -> None:
    """Add one text that the user wrote. The same text twice is kept once."""
    from edge_ttp.errors import InvalidInput
    from edge_ttp.schema import HistoryItem

    if output == given == STDIN:
        raise InvalidInput("--input and --output cannot both come from stdin", "give one of them as text")
    item = HistoryItem(
        user_id=user_named(user),
        input=_from_stdin() if given == STDIN else given,
        output=_from_stdin() if output == STDIN else output,
        kind=kind,
        source="cli",
    )
    with open_history() as history:
        before = history.count(item.user_id)
        stored = history.add(item)
        count = history.count(item.user_id)
    if as_json:
        emit_json({"item": stored.model_dump(mode="json"), "added": count > before})
    else:
        known = "" if count > before else " (it was there already)"
        typer.echo(f"item {stored.id} of {stored.user_id}{known}; {count} in all")


def _from_stdin() -> str:
    from edge_ttp.errors import InvalidInput
    from edge_ttp.schema import MAX_TEXT

    data = sys.stdin.buffer.read(4 * MAX_TEXT + 1)
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"stdin is not UTF-8 at byte {error.start + 1}", "re-encode it") from None


@app.command("list")
def list_(
    user: User = None,
    kind: Annotated[str | None, typer.Option(help="Only texts of this kind.")] = None,
    limit: Limit = 20,
    oldest: Annotated[bool, typer.Option("--oldest", help="From the oldest on, instead of the newest.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what the user has written, newest first."""
    name = user_named(user)
    with open_history() as history:
        items = history.items(name, kind=kind, limit=limit, newest_first=not oldest)
        count = history.count(name)
    if as_json:
        emit_json({"user": name, "count": count, "items": [item.model_dump(mode="json") for item in items]})
        return
    if not items:
        note(f"no history yet for {name}" if not count else f"nothing of kind {kind} in the history of {name}")
        return
    table = text_table("id", "date", "kind", "input", "output")
    for item in items:
        day = item.created_at.date().isoformat()
        table.add_row(str(item.id), day, plain(item.kind), plain(item.input), plain(item.output))
    console().print(table)
    if len(items) < count:
        note(f"{len(items)} of {count} shown; --limit shows more")


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="All these words; the last may be the beginning of one.")],
    user: User = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """Find what the user has written by its words, newest first."""
    from rich.text import Text

    name = user_named(user)
    with open_history() as history:
        hits = history.search(name, text, limit)
    if as_json:
        rows = [
            {
                "item": each.item.model_dump(mode="json"),
                "field": each.field,
                "snippet": each.snippet,
                "highlights": [list(span) for span in each.highlights],
            }
            for each in hits
        ]
        emit_json({"user": name, "found": rows})
        return
    if not hits:
        note(f"nothing found in the history of {name}")
        return
    table = text_table("id", "date", "kind", "field", "text")
    for each in hits:
        line = Text(each.snippet)
        for start, end in each.highlights:
            line.stylize("bold", start, end)
        day = each.item.created_at.date().isoformat()
        table.add_row(str(each.item.id), day, plain(each.item.kind), each.field, line)
    console().print(table)


@app.command()
def stats(user: User = None, all_users: AllUsers = False, as_json: AsJson = False) -> None:
    """Count what is kept: texts, generations, candidates, feedback."""
    from dataclasses import asdict

    name = selected(user, all_users)
    with open_history() as history:
        statistics = history.stats(name)
        retention = None if name is None else history.retention(name)
        size = history.path.stat().st_size
    if as_json:
        ends = (("oldest", statistics.oldest), ("newest", statistics.newest))
        moments = {key: moment and moment.isoformat() for key, moment in ends}
        emit_json({**asdict(statistics), **moments, "retention_days": retention, "database_bytes": size})
        return
    table = text_table("", "", header=False)
    oldest, newest = statistics.oldest, statistics.newest
    span = "" if oldest is None or newest is None else f"{oldest.date()} to {newest.date()}"
    rows = [
        ("users", str(statistics.users)) if name is None else ("user", plain(name)),
        ("texts", str(statistics.items)),
        ("kinds", plain(_tally(statistics.kinds))),
        ("sources", plain(_tally(statistics.sources))),
        ("written", span),
        ("mean length", f"input {statistics.mean_input:.0f}, output {statistics.mean_output:.0f} characters"),
        ("generations", f"{statistics.generations} with {statistics.candidates} candidates"),
        ("kept for", "ever" if retention is None else f"{retention} days"),
        ("feedback", _tally(statistics.feedback)),
        ("database", f"{size / 1e6:.1f} MB (all users)"),
    ]
    labels, values = table.columns  # a narrow terminal folds what is said, not what it is
    labels.min_width = max(len(label) for label, _ in rows)
    values.no_wrap, values.overflow = False, "fold"
    for label, value in rows:
        if value and not (name is None and label == "kept for"):
            table.add_row(label, value)
    console().print(table)


@app.command()
def export(
    user: User = None,
    all_users: AllUsers = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Generations, feedback, settings and what was learned too.")
    ] = False,
    preferences: Annotated[
        bool, typer.Option("--preferences", help="Pairs of texts from judgments instead: prompt, chosen, rejected.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file (mode 0600), not to stdout.")
    ] = None,
    force: Force = False,
) -> None:
    """Print the history as JSON lines. `history import` reads them back."""
    from edge_ttp.errors import InvalidInput
    from edge_ttp.exchange.jsonl import line_of
    from edge_ttp.exchange.preferences import preference_lines
    from edge_ttp.system.output_file import text_output

    name = selected(user, all_users)
    if everything and preferences:
        raise InvalidInput("--all and --preferences exclude each other", "give one of them")
    count = 0
    with open_history() as history:
        rows = (
            preference_lines(history.judged_generations(name))
            if preferences
            else map(line_of, history.records(name, everything=everything))
        )
        if output is None:
            for line in rows:
                sys.stdout.buffer.write(line.encode())  # UTF-8, whatever the terminal speaks
                count += 1
            sys.stdout.buffer.flush()
        else:
            with text_output(output, force=force, database=history.path) as file:
                for line in rows:
                    file.write(line)
                    count += 1
            note(f"{counted(count, 'line')} written to {output}")
    if not count:
        what = "judgments that make pairs" if preferences else "history"
        note(f"no {what} yet" if name is None else f"no {what} yet for {name}")


@app.command()
def path(as_json: AsJson = False) -> None:
    """Print where the database is."""
    from edge_ttp.paths import locate

    database = locate().database
    if as_json:
        emit_json({"path": str(database), "exists": database.exists()})
    else:
        typer.echo(str(database))


@app.command()
def retention(
    days: Annotated[str | None, typer.Argument(metavar="[DAYS]", help="Such as 90 or 90d, or `forever`.")] = None,
    user: User = None,
    as_json: AsJson = False,
) -> None:
    """Show or set how long the user's generations are kept. What the user has written is always kept."""
    name = user_named(user)
    deleted = 0
    with open_history() as history:
        if days is not None:
            deleted = history.set_retention(name, _days(days))
        kept = history.retention(name)
    if as_json:
        emit_json({"user": name, "retention_days": kept, "deleted": deleted})
        return
    typer.echo(f"generations of {name} are kept " + ("for ever" if kept is None else f"for {counted(kept, 'day')}"))
    if deleted:
        note(f"{counted(deleted, 'older generation')} deleted")


def _days(text: str) -> int | None:
    from edge_ttp.errors import InvalidInput

    if text == "forever":
        return None
    number = text.removesuffix("d")
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise InvalidInput(f"{text!a} is no number of days", "use such as 90, 90d or forever")
    return int(number)


def _tally(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
