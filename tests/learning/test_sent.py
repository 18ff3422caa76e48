from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from answer.requests import ask
from fakes import rooms

from edge_ttp.answer import generate
from edge_ttp.history import History
from edge_ttp.learning.sent import sent_stats
from edge_ttp.paths import locate
from edge_ttp.schema import Feedback, FeedbackKind


@pytest.fixture
def history(home: Path) -> Iterator[History]:
    with History.open(locate(home).database) as opened:
        yield opened


def judged(history: History, verdict: FeedbackKind, more: str = "", **fields: object) -> str:
    made = generate(rooms(history), ask(**fields))
    text = made.text + more if verdict == "edit" else None
    history.add_feedback(
        Feedback(generation_id=made.generation_id, user_id="ann", kind=verdict, candidate=made.chosen, text=text)
    )
    return made.text


def test_what_was_sent_is_compared_with_what_was_suggested(history: History) -> None:
    first = judged(history, "accept", kind="email")
    second = judged(history, "edit", "!!", kind="email")
    judged(history, "reject", kind="chat")
    judged(history, "copied", kind="chat")
    rows = {(row.since, row.kind): row for row in sent_stats(history, "ann")}
    everything, mail, chat = rows["", "all"], rows["", "email"], rows["", "chat"]
    assert (everything.judged, everything.rejected) == (3, 1)
    assert everything.unedited == pytest.approx(1 / 3)
    assert mail.unedited == 0.5
    assert (mail.typed, mail.saved) == (2, len(first) + len(second))
    assert mail.distance == pytest.approx(0.5 * 2 / (len(second) + 2))
    assert (chat.judged, chat.saved, chat.distance) == (1, 0, 0.0)
    assert len([since for since, _ in rows if since]) == 2
