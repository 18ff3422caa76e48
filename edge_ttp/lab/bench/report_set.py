"""Who is reported on: users who were in no pool before this set was frozen.

The report users of the first four tasks were looked at again and again - ablations were quoted on them, a limit was
derived from them - and have become a development set. From now on decisions are made on tune users alone, and numbers
come from report users (tenths 8 and 9 of the one split) of the tasks that came later. `FROZEN` says who they are, by
their number and a digest of their names, so that another version of a corpus is noticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.corpus import read_users, task_file
from edge_ttp.lab.bench.scored_pools import REPORT, TUNE

RETIRED = ("acl_title_first", "amazon_review_title", "huffpost_headline", "wine_review")
"""Tasks whose report users have been seen."""

FROZEN: dict[str, tuple[int, str]] = {
    "commit_msg": (18, "edf774c58aa47296"),
    "de_drama": (18, "f233222044a7b1df"),
    "email_reply": (18, "82e713051efec32e"),
    "fr_kaamelott": (7, "89e53098cb6a6396"),
    "gh_reply": (24, "e827ee004b2e5313"),
    "irc_reply": (20, "ebdc65859b4897f6"),
    "ja_chat": (16, "7f7baefc3dd6e259"),
    "podcast_reply": (18, "c7229ddf7c01704b"),
    "tv_reply": (10, "62dba60270a52f69"),
}
"""Task -> number of report users, and the first 16 digits of the SHA-256 of their sorted names."""


def tenths_of(part: str, folder: Path, tasks: Sequence[str]) -> tuple[int, ...]:
    """The tenths of the users of this part, `tune` or `report`.

    Raises InvalidInput for another part, and for report users of a retired task or of another version of a frozen one.
    """
    if part == "tune":
        return TUNE
    if part != "report":
        raise InvalidInput(f"there is no part {part!r}", "choose tune or report")
    for task in tasks:
        if task in RETIRED:
            raise InvalidInput(f"report users of {task} have been seen in development", "name other tasks with --task")
        if task in FROZEN and fingerprint(folder, task) != FROZEN[task]:
            raise InvalidInput(
                f"the report users of {task} are others than the frozen ones", "use the corpus as it was"
            )
    return REPORT


def fingerprint(folder: Path, task: str) -> tuple[int, str]:
    """Number and digest of a task's report users."""
    names = sorted(read_users(task_file(folder, task), tenths=REPORT))
    return len(names), hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
