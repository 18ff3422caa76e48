"""Everything that a user can own, and what is left of it in the files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_ttp.history import History
from edge_ttp.schema import Candidate, Feedback

from .conftest import new_generation, new_item
from .test_learning import evidence, layer, posterior

SECRETS = [b"xylophone", b"quagmire", b"zeppelin", b"jackdaw", b"obelisk", b"farthing"]


def fill(history: History, user: str, day: int = 0) -> int:
    """Everything that a user can own, with words that nobody else uses; returns the id of the calibrated item."""
    item = history.add(new_item(f"xylophone quagmire {day}", user=user, day=day, given=f"zeppelin {day}"))
    history.put_vectors("encoder", {item.id or 0: np.ones(4)})
    history.calibrate(
        item,
        "tiny",
        [
            Candidate(text="jackdaw", tokens=2, logprob=-1.0),
            Candidate(text="b", tokens=2, logprob=-1.0),
            Candidate(text="c", tokens=2, logprob=-1.0),
        ],
        evidence(),
    )
    name = f"{user}-{day}"
    history.record(new_generation(name, user=user, texts=("obelisk", "two", "three")), layer=layer())
    edit = Feedback(generation_id=name, user_id=user, kind="edit", candidate=1, text=f"farthing {day}")
    history.add_feedback(edit, evidence(kind="edit"))
    version, _ = history.evidence(user, "r1", 9)
    history.save_posterior(user, posterior(version))
    assert item.id is not None
    return item.id


def remains(path: Path, words: list[bytes] = SECRETS) -> set[bytes]:
    """The words that stand somewhere in the database, its log or its index of the log."""
    files = [file for file in path.parent.iterdir() if file.is_file()]
    data = b"".join(file.read_bytes() for file in files).lower()
    return {word for word in words if word in data}
