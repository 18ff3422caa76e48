"""`edge-ttp history import`: files and repositories into the history, with progress and a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_ttp.cli.history_options import STDIN, AsJson, counted, open_history, user_named
from edge_ttp.cli.output import emit_json, note, progress

if TYPE_CHECKING:
    from edge_ttp.history import History
    from edge_ttp.history.importing import Report


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
    with open_history() as history:
        if git is not None:
            how = git_log.LogReading(user_named(user), author=author, kind=kind or "commit", body=body)
            with progress(f"Importing {git}", git_log.count(git, how), "commits") as advance:
                report = importing.store_records(history, lambda: git_log.commits(git, how, advance), strict=strict)
            _tell(report, str(git), "commit", as_json=as_json)
        else:
            assert file is not None
            report = _import_lines(history, file, user, kind, strict=strict)
            _tell(report, "stdin" if file == STDIN else file, "line", as_json=as_json)


def _import_lines(history: History, file: str, user: str | None, kind: str | None, *, strict: bool) -> Report:
    from edge_ttp.history import importing, jsonl
    from edge_ttp.history.streams import Twice, opened, size_of
    from edge_ttp.user import valid_user

    how = jsonl.Reading(None if user is None else valid_user(user), user_named(None), kind)
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
            f"nothing was stored: {name} has {counted(report.bad, 'bad ' + unit)} "
            f"(the first is {unit} {first.number}: {first.reason})",
            "correct them, or import without --strict" if report.refused else "see the format in docs/history.md",
        )
    if as_json:
        bad_ones = [{unit: bad.number, "reason": bad.reason} for bad in report.named]
        emit_json({"added": report.added, "duplicates": report.duplicates, "bad": report.bad, f"bad_{unit}s": bad_ones})
        return
    typer.echo(f"{report.added} added, {report.duplicates} there already, {counted(report.bad, 'bad ' + unit)}")
