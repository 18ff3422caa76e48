"""Two sample histories written for this project: the same sort of notices in two plainly different voices.

Mara is warm and playful, in lower case; Theo is terse and formal. Two thirds of what happens is the same in both
histories, so what differs in an answer is the voice. Used by the demo and as the default prompts of the benchmarks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

SAMPLE_USERS = ("mara", "theo")

DEMO_PROMPTS = (
    "The printer on the first floor was repaired and works again.",
    "The meeting with the customer moves to Friday at nine.",
    "The power will be turned off on Friday morning for repairs.",
)
"""Three prompts that are in neither history, and near to several items of both."""


class SampleItem(TypedDict):
    """One line of a sample history, in the form that `edge-ttp history import` reads."""

    user_id: str
    input: str
    """What happened."""
    output: str
    """The notice this person wrote about it."""
    order: int
    """1 is the oldest."""
    kind: str


def sample_path(user: str) -> Path:
    """The JSONL file of a sample history. Raises KeyError unless `user` is one of SAMPLE_USERS."""
    return sample_paths()[user]


def sample_paths() -> dict[str, Path]:
    """User -> JSONL file, for all sample histories."""
    folder = Path(__file__).parent
    return {user: folder / f"{user}.jsonl" for user in SAMPLE_USERS}


def sample_items(user: str) -> list[SampleItem]:
    """The items of one sample history, oldest first."""
    return [json.loads(line) for line in sample_path(user).read_text(encoding="utf-8").splitlines()]
