"""Where on a machine somebody's own writing usually lies: offered for an import, never read without being asked.

Names of files and folders are looked at, no contents, and no deeper than the patterns say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

MOST = 5
"""Places of one sort that are named."""


@dataclass(frozen=True)
class LikelyPlace:
    """A file or folder that `history import` reads."""

    path: Path
    sort: str
    """mail, conversations, notes or git."""
    git: bool = False
    """Whether it is a repository, whose log is meant."""


_PATTERNS = (
    ("mail", ".thunderbird/*/Mail/*/Sent"),
    ("mail", ".thunderbird/*/ImapMail/*/Sent*"),
    ("mail", "Library/Thunderbird/Profiles/*/ImapMail/*/Sent*"),
    ("mail", ".local/share/evolution/mail/local/.Sent"),
    ("mail", "Maildir/.Sent*"),
    ("mail", "Mail/[Ss]ent*"),
    ("mail", "mail/[Ss]ent*"),
    ("conversations", "Downloads/*[Cc]hat[Gg][Pp][Tt]*.zip"),
    ("conversations", "Downloads/*[Cc]laude*.zip"),
    ("conversations", "Downloads/conversations.json"),
    ("notes", "*/.obsidian"),
    ("notes", "Documents/*/.obsidian"),
    ("notes", "Notes"),
    ("git", "*/.git"),
    ("git", "*/*/.git"),
)


def likely_places(home: Path) -> list[LikelyPlace]:
    """The places below `home`, mail first; at most MOST of a sort. Links and what cannot be read are passed over."""
    found: list[LikelyPlace] = []
    for sort in ("mail", "conversations", "notes", "git"):
        paths = (path for kind, pattern in _PATTERNS if kind == sort for path in _matching(home, pattern))
        for path in islice(dict.fromkeys(paths), MOST):
            beside = path.name in (".obsidian", ".git")
            found.append(LikelyPlace(path.parent if beside else path, sort, git=path.name == ".git"))
    return found


def _matching(home: Path, pattern: str) -> Iterator[Path]:
    try:
        for path in sorted(home.glob(pattern)):
            if not path.is_symlink() and path.suffix not in (".msf", ".dat"):
                yield path
    except OSError:
        return
