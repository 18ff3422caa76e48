"""`edge-ttp history`: what a user has written - adding, importing, finding, counting and taking it out again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_ttp.cli.output import console, emit_json, note, progress

if TYPE_CHECKING:
    from rich.table import Table

    from edge_ttp.history import History
    from edge_ttp.history.importing import Report

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="What a user has written.",
)

User = Annotated[str | None, typer.Option("--user", "-u", help="Whose history. Default: EDGE_TTP_USER, else `me`.")]
AllUsers = Annotated[bool, typer.Option("--all-users", help="All users of this installation.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most this many.")]
_STDIN = "-"


@contextmanager
def _open() -> Iterator[History]:
    from edge_ttp.history import History
    from edge_ttp.paths import locate

    with History.open(locate().database) as history:
        yield history


def _user(name: str | None) -> str:
    from edge_ttp.user import default_user, valid_user

    return default_user() if name is None else valid_user(name)


def _selected(name: str | None, all_users: bool) -> str | None:
    """The user meant, or None for all."""
    from edge_ttp.errors import InvalidInput

    if all_users and name is not None:
        raise InvalidInput("--user and --all-users exclude each other", "give one of them")
    return None if all_users else _user(name)


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

    if output == given == _STDIN:
        raise InvalidInput("--input and --output cannot both come from stdin", "give one of them as text")
    item = HistoryItem(
        user_id=_user(user),
        input=_from_stdin() if given == _STDIN else given,
        output=_from_stdin() if output == _STDIN else output,
        kind=kind,
        source="cli",
    )
    with _open() as history:
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


@app.command("import")
def import_(
    file: Annotated[str | None, typer.Argument(metavar="FILE", help="JSON lines; `-` reads stdin.")] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", "-u", help="Owner of every item. Default: the line's user_id, else as elsewhere."),
    ] = None,
    git: Annotated[Path | None, typer.Option("--git", metavar="PATH", help="Import this repository's log.")] = None,
    author: Annotated[
        str | None, typer.Option(help="With --git: only commits whose author's name or address contains this.")
    ] = None,
    body: Annotated[bool, typer.Option("--body", help="With --git: whole messages, not only first lines.")] = False,
    kind: Annotated[str | None, typer.Option(help="Kind of every item. Default: the line's, text, commit.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Store nothing if any line is bad.")] = False,
    as_json: AsJson = False,
) -> None:
    """Import JSON lines (user_id?, input, output, date or order?, kind?) or a git log. Duplicates are skipped."""
    from edge_ttp.errors import InvalidInput
    from edge_ttp.history import git_log, importing

    if (file is None) == (git is None):
        raise InvalidInput("give a file, or a repository with --git", "see `edge-ttp history import --help`")
    if git is None and (author is not None or body):
        raise InvalidInput("--author and --body belong to --git", "give --git PATH, or leave them out")
    with _open() as history:
        if git is not None:
            how = git_log.LogReading(_user(user), author=author, kind=kind or "commit", body=body)
            with progress(f"Importing {git}", git_log.count(git, how), "commits") as advance:
                report = importing.store_records(history, lambda: git_log.commits(git, how, advance), strict=strict)
            _tell(report, str(git), "commit", as_json=as_json)
        else:
            assert file is not None
            report = _import_lines(history, file, user, kind, strict=strict)
            _tell(report, "stdin" if file == _STDIN else file, "line", as_json=as_json)


def _import_lines(history: History, file: str, user: str | None, kind: str | None, *, strict: bool) -> Report:
    from edge_ttp.history import importing, jsonl
    from edge_ttp.history.streams import Twice, opened, size_of
    from edge_ttp.user import valid_user

    how = jsonl.Reading(None if user is None else valid_user(user), _user(None), kind)
    with opened(file) as stream, progress(f"Importing {file}", size_of(file), "bytes") as advance:
        if not strict:
            return importing.store_records(history, lambda: jsonl.records(stream, file, how, advance))
        twice = Twice(stream, history.path.parent)
        return importing.store_records(
            history, lambda: jsonl.records(twice.from_start(), file, how, advance), strict=True
        )


def _tell(report: Report, name: str, unit: str, *, as_json: bool) -> None:
    """Prints the counts, and the bad records on stderr; raises where nothing could be stored."""
    from edge_ttp.errors import Cancelled, InvalidInput

    if report.interrupted:
        raise Cancelled(
            f"the import of {name} was interrupted; {report.added} items were stored",
            "run it again: what is stored is skipped",
        )
    if not as_json:
        for bad in report.named:
            note(f"{name}, {unit} {bad.number}: {bad.reason}")
        if report.bad > len(report.named):
            note(f"and {report.bad - len(report.named)} more")
    if report.refused or (report.bad and not report.added and not report.duplicates):
        first = report.named[0]
        raise InvalidInput(
            f"nothing was stored: {name} has {_counted(report.bad, 'bad ' + unit)} "
            f"(the first is {unit} {first.number}: {first.reason})",
            "correct them, or import without --strict" if report.refused else "see the format in docs/history.md",
        )
    if as_json:
        bad_ones = [{unit: bad.number, "reason": bad.reason} for bad in report.named]
        emit_json({"added": report.added, "duplicates": report.duplicates, "bad": report.bad, f"bad_{unit}s": bad_ones})
        return
    typer.echo(f"{report.added} added, {report.duplicates} there already, {_counted(report.bad, 'bad ' + unit)}")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


@app.command("list")
def list_(
    user: User = None,
    kind: Annotated[str | None, typer.Option(help="Only texts of this kind.")] = None,
    limit: Limit = 20,
    oldest: Annotated[bool, typer.Option("--oldest", help="From the oldest on, instead of the newest.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what the user has written, newest first."""
    name = _user(user)
    with _open() as history:
        items = history.items(name, kind=kind, limit=limit, newest_first=not oldest)
        count = history.count(name)
    if as_json:
        emit_json({"user": name, "count": count, "items": [item.model_dump(mode="json") for item in items]})
        return
    if not items:
        note(f"no history yet for {name}" if not count else f"nothing of kind {kind} in the history of {name}")
        return
    table = _table("id", "date", "kind", "input", "output")
    for item in items:
        day = item.created_at.date().isoformat()
        table.add_row(str(item.id), day, _plain(item.kind), _plain(item.input), _plain(item.output))
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

    name = _user(user)
    with _open() as history:
        found = history.search(name, text, limit)
    if as_json:
        rows = [
            {
                "item": each.item.model_dump(mode="json"),
                "field": each.field,
                "snippet": each.snippet,
                "highlights": [list(span) for span in each.highlights],
            }
            for each in found
        ]
        emit_json({"user": name, "found": rows})
        return
    if not found:
        note(f"nothing found in the history of {name}")
        return
    table = _table("id", "date", "kind", "field", "text")
    for each in found:
        line = Text(each.snippet)
        for start, end in each.highlights:
            line.stylize("bold", start, end)
        day = each.item.created_at.date().isoformat()
        table.add_row(str(each.item.id), day, _plain(each.item.kind), each.field, line)
    console().print(table)


@app.command()
def stats(user: User = None, all_users: AllUsers = False, as_json: AsJson = False) -> None:
    """Count what is kept: texts, generations, candidates, feedback."""
    from dataclasses import asdict

    name = _selected(user, all_users)
    with _open() as history:
        found = history.stats(name)
        retention = None if name is None else history.retention(name)
        size = history.path.stat().st_size
    if as_json:
        ends = (("oldest", found.oldest), ("newest", found.newest))
        moments = {key: moment and moment.isoformat() for key, moment in ends}
        emit_json({**asdict(found), **moments, "retention_days": retention, "database_bytes": size})
        return
    table = _table("", "", header=False)
    span = "" if found.oldest is None else f"{found.oldest.date()} to {found.newest.date()}"  # type: ignore[union-attr]
    rows = [
        ("users", str(found.users)) if name is None else ("user", _plain(name)),
        ("texts", str(found.items)),
        ("kinds", _plain(_tally(found.kinds))),
        ("sources", _plain(_tally(found.sources))),
        ("written", span),
        ("mean length", f"input {found.mean_input:.0f}, output {found.mean_output:.0f} characters"),
        ("generations", f"{found.generations} with {found.candidates} candidates"),
        ("kept for", "ever" if retention is None else f"{retention} days"),
        ("feedback", _tally(found.feedback)),
        ("database", f"{size / 1e6:.1f} MB (all users)"),
    ]
    for label, value in rows:
        if value and not (name is None and label == "kept for"):
            table.add_row(label, value)
    console().print(table)


@app.command()
def export(
    user: User = None,
    all_users: AllUsers = False,
    everything: Annotated[bool, typer.Option("--all", help="Generations and feedback too.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file (mode 0600), not to stdout.")
    ] = None,
) -> None:
    """Print the history as JSON lines. `history import` reads them back."""
    from edge_ttp.history.export import lines, private_file

    name = _selected(user, all_users)
    count = 0
    with _open() as history:
        if output is None:
            for line in lines(history, name, everything=everything):
                sys.stdout.buffer.write(line.encode())  # UTF-8, whatever the terminal speaks
                count += 1
            sys.stdout.buffer.flush()
        else:
            with private_file(output) as file:
                for line in lines(history, name, everything=everything):
                    file.write(line)
                    count += 1
            note(f"{_counted(count, 'line')} written to {output}")
    if not count:
        note("no history yet" if name is None else f"no history yet for {name}")


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
    name = _user(user)
    deleted = 0
    with _open() as history:
        if days is not None:
            deleted = history.set_retention(name, _days(days))
        kept = history.retention(name)
    if as_json:
        emit_json({"user": name, "retention_days": kept, "deleted": deleted})
        return
    typer.echo(f"generations of {name} are kept " + ("for ever" if kept is None else f"for {_counted(kept, 'day')}"))
    if deleted:
        note(f"{_counted(deleted, 'older generation')} deleted")


def _days(text: str) -> int | None:
    from edge_ttp.errors import InvalidInput

    if text == "forever":
        return None
    number = text.removesuffix("d")
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise InvalidInput(f"{text!a} is no number of days", "use such as 90, 90d or forever")
    return int(number)


def _table(*columns: str, header: bool = True) -> Table:
    from rich.table import Table

    wide = {"input": 3, "output": 2, "text": 1}  # these share what the others leave of the terminal's width
    table = Table(
        box=None, show_header=header, pad_edge=False, header_style="dim", expand=not wide.keys().isdisjoint(columns)
    )
    for name in columns:
        table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=wide.get(name))
    return table


def _plain(text: str) -> Any:
    """`text` on one line for a table: no markup, no control characters."""
    from rich.text import Text

    return Text("".join(character if character.isprintable() else " " for character in text[:500]))


def _tally(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
