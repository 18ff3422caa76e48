"""`edge-ttp history import`: files and repositories into the history, with progress and a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_ttp.cli.history_options import STDIN, AsJson, counted, open_history, user_named
from edge_ttp.cli.output import emit_json, note, progress

if TYPE_CHECKING:
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
            help="jsonl, csv, mbox, maildir, eml, conversations (ChatGPT, Claude), chat (WhatsApp, Signal, Telegram), "
            "markdown (Obsidian too) or text. Default: told by the file.",
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN", help="csv, jsonl: where output, input, date ... stand."),
    ] = None,
    date_form: Annotated[
        str | None,
        typer.Option("--date-format", metavar="FORM", help="How dates are written, such as %d/%m/%Y."),
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="csv, chats: such as cp1252. Default: as the bytes say.")] = None,
    git: Annotated[Path | None, typer.Option("--git", metavar="PATH", help="Import this repository's log.")] = None,
    author: Annotated[
        list[str] | None,
        typer.Option(
            help="git, mails, chats: who you are, a part of the name or address; may be repeated. Default for mails: "
            "the address most often in From."
        ),
    ] = None,
    body: Annotated[bool, typer.Option("--body", help="With --git: whole messages, not only first lines.")] = False,
    role: Annotated[
        str | None, typer.Option(help="Lines with `messages`: whose are yours, user (default) or assistant.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="Kind of every item. Default: the line's, text, commit, email, chat, note, prompt."),
    ] = None,
    preview: Annotated[
        int | None, typer.Option("--preview", min=1, metavar="N", help="Show the first N items and store nothing.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Store nothing if any record is bad.")] = False,
    as_json: AsJson = False,
) -> None:
    """Import what was written elsewhere: mails, chats, notes, letters, conversations with chatbots, tables, JSON lines,
    a git log. Skips duplicates; `history undo-import` takes it out again.
    """
    from edge_ttp.errors import InvalidInput
    from edge_ttp.exchange import readers
    from edge_ttp.history import importing
    from edge_ttp.history.rows import checked_label

    if (name is None) == (git is None):
        raise InvalidInput("give a file, or a repository with --git", "see `edge-ttp history import --help`")
    if git is None and body:
        raise InvalidInput("--body belongs to --git", "give --git PATH, or leave it out")
    what = readers.described(
        str(git) if name is None else name,
        user=None if user is None else user_named(user),
        fallback=user_named(None),
        form="git" if git is not None else form,
        kind=None if kind is None else checked_label("kind", kind),
        authors=tuple(author or ()),
        columns=readers.column_pairs(columns or []),
        date_form=date_form,
        encoding=encoding,
        role=role,
        body=body,
    )
    title = "stdin" if what.name == STDIN else what.name
    with (
        open_history() as history,
        progress(f"Importing {Path(title).name or title}", *readers.amount(what)) as advance,
    ):
        if preview is None:
            report = importing.import_from(history, what, strict=strict, advance=advance)
        else:
            seen = importing.preview_of(history, what, preview, advance=advance)
    if preview is None:
        _tell(report, title, what.unit, as_json=as_json)
    else:
        _show(seen, what.unit, as_json=as_json)


def _show(seen: Preview, unit: str, *, as_json: bool) -> None:
    """Prints what would be stored first, and what would not be and why."""
    if as_json:
        emit_json(
            {
                "items": [one.model_dump(mode="json", exclude={"id"}) for one in seen.items],
                f"bad_{unit}s": [{unit: bad.number, "reason": bad.reason} for bad in seen.bad],
                "skipped": dict(seen.skipped),
                "remarks": list(seen.remarks),
            }
        )
        return
    for remark in seen.remarks:
        note(remark)
    for item in seen.items:
        typer.echo(f"[{item.created_at:%Y-%m-%d} {item.kind}, {item.source}]")
        typer.echo(f"  input:  {_line(item.input)}")
        typer.echo(f"  output: {_line(item.output)}")
    for bad in seen.bad:
        note(f"{unit} {bad.number}: {bad.reason}")
    if seen.skipped:
        note(f"passed over: {_reasons(seen.skipped)}")
    note("a preview: nothing was stored")


def _line(text: str) -> str:
    flat = " ".join("".join(character if character.isprintable() else " " for character in text[:1000]).split())
    return flat if len(flat) <= 160 else f"{flat[:157]}..."


def _reasons(skipped: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(skipped.items()))


def _tell(report: Imported, name: str, unit: str, *, as_json: bool) -> None:
    """Prints the counts, and the bad records on stderr; raises where nothing could be stored."""
    from edge_ttp.errors import Cancelled, InvalidInput

    if report.interrupted:
        raise Cancelled(
            f"the import of {name} was interrupted; {report.added} items were stored",
            "run it again, what is stored is skipped"
            + ("" if report.id is None else f"; or take it out: edge-ttp history undo-import {report.id}"),
        )
    failed = report.refused or (report.bad and not report.added and not report.duplicates)
    if not as_json:
        for remark in report.remarks:
            note(remark)
        for bad in () if failed and report.bad == 1 else report.named:
            note(f"{name}, {unit} {bad.number}: {bad.reason}")
        if report.bad > len(report.named):
            note(f"and {report.bad - len(report.named)} more")
    if failed:
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
        parts.append(f"{sum(report.skipped.values())} passed over ({_reasons(report.skipped)})")
    typer.echo(", ".join([*parts, counted(report.bad, "bad " + unit)]))
    if report.id is not None:
        typer.echo(f"this is import {report.id}; to take it out again: edge-ttp history undo-import {report.id}")
