"""A blind page: texts of a user, of a stranger and drawn ones in shuffled order, for a person to say whose they are.

The page does not hold the answer; a file beside it does. Nobody's verdict is made up: `tally` counts what was judged.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.corpus import tasks_of
from edge_ttp.lab.bench.halves import halved_queries
from edge_ttp.lab.bench.quality_pools import TASKS, DrawnQuery
from edge_ttp.lab.bench.resumable import Resumable
from edge_ttp.lab.bench.scored_pools import TUNE

KNOWN = 6
"""Texts of the user that are shown as such."""
USERS = 2
"""Users of a task on a page."""


@dataclass(frozen=True)
class Sheet:
    """One user to be judged: what is known of them, and texts that may be theirs."""

    known: tuple[str, ...]
    asked: tuple[tuple[str, str], ...]
    """Texts with where each comes from: `own`, `stranger`, `drawn`, in the order shown."""
    name: str
    """A number that tells nothing."""


def sheets(folder: Path, tasks: Sequence[str] | None, pools: Path | None, *, users: int = USERS) -> list[Sheet]:
    """Sheets of tune users; drawn texts from `pools`, if given. Raises InvalidInput for no such users."""
    drawn: Mapping[Any, DrawnQuery] = {}
    if pools is not None:
        drawn = {key: DrawnQuery.of(record) for key, record in Resumable.read(pools)[1].items()}
    wanted = list(tasks or (tasks_of(drawn) if drawn else TASKS))
    found: dict[tuple[str, str], list[Any]] = {}
    for one in halved_queries(folder, wanted, tenths=TUNE, users=10**6 if drawn else users):
        if not drawn or one.query.key in drawn:
            found.setdefault((one.query.task, one.user), []).append(one)
    made: list[Sheet] = []
    for (task, user), block in sorted(found.items()):
        source = random.Random(int(hashlib.sha256(f"page {task} {user}".encode()).hexdigest(), 16))
        texts = [(one.query.item.output, "own") for one in block[:4]]
        strangers = [one.strangers[place % len(one.strangers)] for place, one in enumerate(block[:4]) if one.strangers]
        texts += [(one.history[-1].output, "stranger") for one in strangers]
        texts += [(drawn[one.query.key].own[1].text, "drawn") for one in block[:4] if one.query.key in drawn]
        source.shuffle(texts)
        known = tuple(item.output for item in block[0].query.history[-KNOWN:])
        made.append(Sheet(known, tuple(texts), f"{len(made) + 1}"))
    if not made:
        raise InvalidInput("no task has users with enough texts", "give longer histories")
    return made


def key_of(page: Path) -> Path:
    """Where the answers to a page are."""
    return page.with_name(f"{page.name}.key.json")


def key(made: Sequence[Sheet]) -> str:
    """The answers, as JSON."""
    return json.dumps({f"{one.name}.{place}": origin for one in made for place, (_, origin) in enumerate(one.asked)})


def html(made: Sequence[Sheet]) -> str:
    """The page: stands alone, asks no network, and saves what was judged as a file."""
    parts = []
    for one in made:
        known = "".join(f"<li>{escape(text)}</li>" for text in one.known)
        asked = "".join(
            f"<li><p>{escape(text)}</p><label><input type=radio name='{one.name}.{place}' value=yes> theirs</label> "
            f"<label><input type=radio name='{one.name}.{place}' value=no> not theirs</label></li>"
            for place, (text, _) in enumerate(one.asked)
        )
        parts.append(f"<section><h2>Person {one.name}</h2><h3>Wrote</h3><ul>{known}</ul><h3>And these?</h3>"
                     f"<ol>{asked}</ol></section>")  # fmt: skip
    return f"""<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">
<meta http-equiv="Content-Security-Policy"
content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>Whose words?</title>
<style>body{{font:16px/1.5 system-ui;max-width:46em;margin:2em auto;padding:0 1em;color-scheme:light dark}}
li p{{white-space:pre-wrap;margin:.6em 0 0}}ol>li{{border-top:1px solid #8884;padding:.4em 0}}</style>
<h1>Whose words?</h1><p>Say of each text whether the person wrote it. Judge how it is said, not what about. Nothing is
sent anywhere.</p><form>{"".join(parts)}</form><button type=button onclick="save()">Save what I judged</button>
<script>function save(){{const found={{}};for(const [name,value] of new FormData(document.forms[0]))found[name]=value;
const link=document.createElement('a');link.href='data:application/json,'+encodeURIComponent(JSON.stringify(found));
link.download='verdicts.json';link.click()}}</script></html>
"""


def read_key(page: Path) -> dict[str, str]:
    """The answers to a page. Raises InvalidInput where they are missing."""
    return _texts(key_of(page), "give the page that was judged, with its key beside it")


def read_verdicts(path: Path) -> dict[str, str]:
    """What was judged on a page, `yes` or `no` by text. Raises InvalidInput for anything else."""
    found = _texts(path, "give the file that the page saved")
    if not set(found.values()) <= {"yes", "no"}:
        raise InvalidInput(f"{path} holds no verdicts", "give the file that the page saved")
    return found


def tally(answers: Mapping[str, str], judged: Mapping[str, str]) -> list[dict[str, Any]]:
    """For each kind of text, how many were judged and the share that was taken for the user's."""
    rows = []
    for origin in ("own", "drawn", "stranger"):
        mine = [judged[name] == "yes" for name, one in answers.items() if one == origin and name in judged]
        if mine:
            rows.append({"origin": origin, "judged": len(mine), "taken": sum(mine) / len(mine)})
    return rows


def _texts(path: Path, cure: str) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}", cure) from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise InvalidInput(f"{path} holds no verdicts", cure)
    return found
