"""The one split of users into train, tune and report. Every number that is reported comes from report users."""

from __future__ import annotations

import hashlib
from typing import Literal

Part = Literal["train", "tune", "report"]
PARTS: tuple[Part, ...] = ("train", "tune", "report")


def part_of(user_id: str) -> Part:
    """The part a user belongs to, from int(sha256(user_id)) mod 10: 0-5 train, 6-7 tune, 8-9 report."""
    bucket = int(hashlib.sha256(user_id.encode("utf-8")).hexdigest(), 16) % 10
    if bucket < 6:
        return "train"
    return "tune" if bucket < 8 else "report"
