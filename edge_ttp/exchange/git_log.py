"""A git repository's log as history items: what changed (input) and the message that its author wrote (output).

A repository may be hostile: its configuration can name programs to run. Every setting that could is overridden, and
nothing is fetched, checked out or written.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.records import Advance, BadRecord, Entry, Numbered, Remark, Skipped, no_progress
from edge_ttp.schema import HistoryItem

UNCHANGED = "without a changed file"

MAX_FILES = 30
"""Changed files that an input names; the others are counted."""

_MAX_FIELD = 1024 * 1024
_CHUNK = 65_536
# -c settings win over the repository's own. gpg.program and fsmonitor are programs, hooks are scripts, and a partial
# clone would fetch what it lacks.
_SETTINGS = (
    "log.showSignature=false",
    "gpg.program=false",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.pager=cat",
    "protocol.allow=never",
    "log.showRoot=true",
    "core.quotePath=false",
    "diff.external=",
    "diff.renames=true",
    "diff.renameLimit=200",
)
_HEADER = ("%H", "%at", "%an", "%s", "%b")
_STAT = re.compile(rb"(\d+|-)\t(\d+|-)\t(.*)", re.DOTALL)
_COMMIT = re.compile(rb"\x01[0-9a-f]{40,64}")


@dataclass(frozen=True)
class LogReading:
    """How a log is read."""

    user: str
    authors: tuple[str, ...] = ()
    """Only commits whose author (name <address>) contains one of these, in any case. Empty: all."""
    kind: str = "commit"
    body: bool = False
    """Take the whole message instead of its first line."""


@dataclass(frozen=True)
class FileChange:
    """One changed file of a commit; counts are None for a binary file."""

    path: str
    added: int | None
    removed: int | None


def commits(repository: Path, how: LogReading, progress: Advance = no_progress) -> Iterator[Entry]:
    """The items of the repository's current branch, oldest first, without merges and commits that change no file.

    InvalidInput if git is missing, or `repository` is not in a git repository or has no commits. progress is called
    with the number of commits read so far.
    """
    number = 0
    for number, fields in enumerate(_log(repository, how), start=1):
        progress(number)
        if fields is None:
            yield BadRecord(number, f"the commit has a field longer than {_MAX_FIELD // 1024**2} MiB")
            continue
        (commit, seconds, author, subject, body), changes = fields
        if not changes:
            yield Skipped(number, UNCHANGED)
            continue
        output = f"{subject}\n\n{body}".strip() if how.body else subject
        try:
            item = HistoryItem(
                user_id=how.user,
                input=summary(changes),
                output=output,
                kind=how.kind,
                created_at=datetime.fromtimestamp(int(seconds), UTC),
                source="git",
                metadata={"commit": commit, "author": author},
            )
            yield Numbered(number, item)
        except (ValueError, OverflowError, OSError):
            yield BadRecord(number, f"commit {commit[:12]}: its date cannot be read")
    if number == 0 and how.authors:
        named = " or ".join(repr(one) for one in how.authors)
        yield Remark(f"no commit here is by {named}; the names that there are: git shortlog -sne HEAD")


def count(repository: Path, how: LogReading) -> int:
    """Number of commits that `commits` will read."""
    done = _run([*_git(repository), "rev-list", "--count", *_selection(how), "HEAD", "--"], repository)
    return int(done.strip() or b"0")


def summary(changes: list[FileChange]) -> str:
    """What a commit changed, in words: totals, then one line for each of the first MAX_FILES files."""
    added, removed = sum(change.added or 0 for change in changes), sum(change.removed or 0 for change in changes)
    files = "1 file changed" if len(changes) == 1 else f"{len(changes)} files changed"
    lines = [f"{files}, +{added} -{removed}"]
    for change in changes[:MAX_FILES]:
        size = "binary" if change.added is None else f"+{change.added} -{change.removed}"
        lines.append(f"{change.path} {size}")
    if len(changes) > MAX_FILES:
        lines.append(f"and {len(changes) - MAX_FILES} more")
    return "\n".join(lines)


def _git(repository: Path) -> list[str]:
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    return ["git", "--no-pager", "--no-optional-locks", *settings, "-C", str(repository)]


def _selection(how: LogReading) -> list[str]:
    wanted = ["--no-merges"]
    if how.authors:
        named = [f"--author={author}" for author in how.authors]
        wanted += ["--fixed-strings", "--regexp-ignore-case", *named]
    return wanted


def _environment() -> dict[str, str]:
    # GIT_DIR and its like would lead away from the repository named, others start programs.
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return kept | {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_PAGER": "cat",
        "LC_ALL": "C",
    }


def _log(repository: Path, how: LogReading) -> Iterator[tuple[tuple[str, ...], list[FileChange]] | None]:
    """(header fields, changes) of each commit; None for one with a field that is too long."""
    form = "%x01" + "%x00".join(_HEADER) + "%x00"
    command = [
        *_git(repository), "log", "-z", "--reverse", "--numstat", f"--format=tformat:{form}", "--encoding=UTF-8",
        "--no-ext-diff", "--no-textconv", "--no-show-signature", "--no-color", "--find-renames", "--no-notes",
        *_selection(how), "HEAD", "--",
    ]  # fmt: skip
    # What can be wrong with the repository shows here, where reading the message cannot block.
    _run([*_git(repository), "rev-list", "--max-count=1", "HEAD", "--"], repository)
    with _start(command, subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            yield from _parse(_fields(process.stdout))
            if process.wait() != 0:
                raise InvalidInput(f"git stopped while reading {repository}", "check the repository with: git fsck")
        finally:
            process.kill()


def _start(command: list[str], errors: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=_environment()
        )
    except FileNotFoundError:
        raise InvalidInput("git is not installed", "install it, for example: apt install git") from None


def _run(command: list[str], repository: Path) -> bytes:
    with _start(command, subprocess.PIPE) as process:
        output, errors = process.communicate()
        if process.returncode:
            raise _failed(errors, repository)
        return output


def _failed(errors: bytes, repository: Path) -> InvalidInput:
    text = errors.decode(errors="replace").strip()
    if "not a git repository" in text:
        return InvalidInput(f"{repository} is not a git repository", "name the folder of a repository")
    if "cannot change to" in text:
        return InvalidInput(f"{repository} is not a folder", "name the folder of a repository")
    if "ambiguous argument 'HEAD'" in text or "does not have any commits" in text or "bad revision 'HEAD'" in text:
        return InvalidInput(f"{repository} has no commits yet", "commit something first")
    if "dubious ownership" in text:
        cure = f"if you trust it: git config --global --add safe.directory {repository.absolute()}"
        return InvalidInput(f"{repository} belongs to another user, so git does not read it", cure)
    last = text.splitlines()[-1] if text else "no message"
    return InvalidInput(f"git could not read {repository}: {last[:300]}", "check it with: git log")


def _fields(stream: IO[bytes]) -> Iterator[bytes | None]:
    """The NUL-separated fields of the stream; None for one longer than _MAX_FIELD, which is not kept."""
    held, too_long = b"", False
    while chunk := stream.read(_CHUNK):
        *whole, rest = chunk.split(b"\0")
        for part in whole:
            yield None if too_long or len(held) + len(part) > _MAX_FIELD else held + part
            held, too_long = b"", False
        too_long = too_long or len(held) + len(rest) > _MAX_FIELD
        held = b"" if too_long else held + rest
    if held or too_long:
        yield None if too_long else held


def _parse(fields: Iterator[bytes | None]) -> Iterator[tuple[tuple[str, ...], list[FileChange]] | None]:
    """Commits from the fields: a header of five, an empty one, then one per changed file (three if it was renamed)."""
    first = next(fields, b"")
    while first:
        header = [first[1:], *(next(fields, b"") for _ in _HEADER[1:])]
        changes: list[FileChange | None] = []
        first = b""
        for field in fields:
            if field is not None and _COMMIT.fullmatch(field):
                first = field
                break
            if field != b"":
                changes.append(_change(field, fields))
        known = [change for change in changes if change is not None]
        if None in header or len(known) < len(changes):
            yield None
        else:
            yield tuple((field or b"").decode(errors="replace").strip() for field in header), known


def _change(field: bytes | None, fields: Iterator[bytes | None]) -> FileChange | None:
    """The change that a --numstat field describes; a renamed file's two names are taken from `fields`."""
    match = _STAT.fullmatch(field.lstrip(b"\n")) if field is not None else None
    if match is None:
        return None
    added, removed, path = match.groups()
    if not path:
        old, new = next(fields, None), next(fields, None)
        if old is None or new is None:
            return None
        path = old + b" => " + new
    shown = "".join(c if c.isprintable() else "?" for c in path.decode(errors="replace"))
    return FileChange(shown, None, None) if added == b"-" else FileChange(shown, int(added), int(removed))
