"""`edge-ttp history import`: files and repositories into the history, with progress and a report."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_ttp.cli.history_options import STDIN, AsJson, counted, open_history, user_named
from edge_ttp.cli.output import emit_json, note, progress

if TYPE_CHECKING:
    from edge_ttp.exchange.readers import Import
    from edge_ttp.history.importing import Imported, Preview


def import_(
    name: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="File or folder; `-` reads JSON lines from stdin."),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", "-u", help="Owner of every item. Default: the line's user_id, else as elsewhere."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FORMAT",
            help="jsonl, csv, mbox, maildir, conversations (ChatGPT, Claude) or markdown. Default: told by the file.",
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN", help="csv, jsonl: where output, input, date ... stand."),
    ] = None,
    git: Annotated[Path | None, typer.Option("--git", metavar="PATH", help="Import this repository's log.")] = None,
    author: Annotated[
        str | None, typer.Option(help="git, mails: only what was written by a name or address that contains this.")
    ] = None,
    body: Annotated[bool, typer.Option("--body", help="With --git: whole messages, not only first lines.")] = False,
    kind: Annotated[
        str | None, typer.Option(help="Kind of every item. Default: the line's, text, commit, email, chat, note.")
    ] = None,
    preview: Annotated[
        int | None, typer.Option("--preview", min=1, metavar="N", help="Show the first N items and store nothing.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Store nothing if any record is bad.")] = False,
    as_json: AsJson = False,
) -> None:
    """Import what was written elsewhere: JSON lines, CSV, mails, conversations, notes, a git log. Skips duplicates."""
    from edge_ttp.errors import InvalidInput
    from edge_ttp.exchange import git_log, readers
    from edge_ttp.history import importing

    if (name is None) == (git is None):
        raise InvalidInput("give a file, or a repository with --git", "see `edge-ttp history import --help`")
    if git is None and body:
        raise InvalidInput("--body belongs to --git", "give --git PATH, or leave it out")
    if git is not None:
        log = git_log.LogReading(user_named(user), author=author, kind=kind or "commit", body=body)
        with progress(f"Importing {git}", git_log.count(git, log), "commits") as advance:
            commits = partial(git_log.commits, git, log, advance)
            if preview is None:
                with open_history() as history:
                    report = importing.store_records(history, commits, name=str(git), strict=strict)
        if preview is None:
            _tell(report, str(git), "commit", as_json=as_json)
        else:
            _show(importing.first_records(commits, preview), "commit", as_json=as_json)
        return
    assert name is not None
    what = _what(name, form, user, kind=kind, author=author, columns=columns or [])
    title = "stdin" if name == STDIN else name
    with (
        open_history() as history,
        progress(f"Importing {title}", *readers.amount(what)) as advance,
        readers.source(what, history.path.parent, advance, strict=strict) as records,
    ):
        if preview is None:
            report = importing.store_records(history, records, name=title, strict=strict)
        else:
            seen = importing.first_records(records, preview)
    if preview is None:
        _tell(report, title, what.unit, as_json=as_json)
    else:
        _show(seen, what.unit, as_json=as_json)


def _what(
    name: str, form: str | None, user: str | None, *, kind: str | None, author: str | None, columns: list[str]
) -> Import:
    from edge_ttp.errors import InvalidInput
    from edge_ttp.exchange import readers
    from edge_ttp.history.rows import checked_label

    wanted = next((one for one in readers.FORMATS if one == form), None)
    if form is not None and wanted is None:
        raise InvalidInput(f"there is no format {form!r}", f"choose one of {', '.join(readers.FORMATS)}")
    found = wanted or readers.format_of(name)
    if author is not None and found not in ("mbox", "maildir"):
        raise InvalidInput("--author belongs to mails and --git", "leave it out")
    if columns and found not in ("csv", "jsonl"):
        raise InvalidInput("--map belongs to csv and jsonl", "leave it out")
    if kind is not None:
        checked_label("kind", kind)
    return readers.Import(
        name=name,
        user=None if user is None else user_named(user),
        fallback=user_named(None),
        format=found,
        kind=kind,
        author=author,
        columns=readers.checked_columns(columns),
    )


def _show(seen: Preview, unit: str, *, as_json: bool) -> None:
    """Prints what would be stored first, and what would not be and why."""
    if as_json:
        emit_json(
            {
                "items": [one.model_dump(mode="json", exclude={"id"}) for one in seen.items],
                f"bad_{unit}s": [{unit: bad.number, "reason": bad.reason} for bad in seen.bad],
            }
        )
        return
    for item in seen.items:
        typer.echo(f"[{item.created_at:%Y-%m-%d} {item.kind}, {item.source}]")
        typer.echo(f"  input:  {_line(item.input)}")
        typer.echo(f"  output: {_line(item.output)}")
    for bad in seen.bad:
        note(f"{unit} {bad.number}: {bad.reason}")
    note("a preview: nothing was stored")


def _line(text: str) -> str:
    flat = " ".join("".join(character if character.isprintable() else " " for character in text[:1000]).split())
    return flat if len(flat) <= 160 else f"{flat[:157]}..."


def _tell(report: Imported, name: str, unit: str, *, as_json: bool) -> None:
    """Prints the counts, and the bad records on stderr; raises where nothing could be stored."""
    from edge_ttp.errors import Cancelled, InvalidInput

    if report.interrupted:
        raise Cancelled(
            f"the import of {name} was interrupted; {report.added} items were stored",
            "run it again: what is stored is skipped",
        )
    if not as_json:
        for remark in report.remarks:
            note(remark)
        for bad in report.named:
            note(f"{name}, {unit} {bad.number}: {bad.reason}")
        if report.bad > len(report.named):
            note(f"and {report.bad - len(report.named)} more")
    if report.refused or (report.bad and not report.added and not report.duplicates):
        first = report.named[0]
        raise InvalidInput(
            f"nothing was stored: {name} has {counted(report.bad, 'bad ' + unit)} "
            f"(the first is {unit} {first.number}: {first.reason})",
            "correct them, or import without --strict" if report.refused else "see the format in docs/exchange.md",
        )
    if as_json:
        bad_ones = [{unit: bad.number, "reason": bad.reason} for bad in report.named]
        emit_json(
            {
                "import": report.id,
                "added": report.added,
                "duplicates": report.duplicates,
                "skipped": dict(report.skipped),
                "bad": report.bad,
                f"bad_{unit}s": bad_ones,
                "remarks": list(report.remarks),
            }
        )
        return
    parts = [f"{report.added} added", f"{report.duplicates} there already"]
    if report.skipped:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(report.skipped.items()))
        parts.append(f"{sum(report.skipped.values())} passed over ({reasons})")
    typer.echo(", ".join([*parts, counted(report.bad, "bad " + unit)]))
    if report.id is not None:
        typer.echo(f"this is import {report.id}; to take it out again: edge-ttp history undo-import {report.id}")
