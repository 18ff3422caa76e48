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


def tune_half(user_id: str) -> int:
    """Which half of its part a user belongs to, 0 or 1: what was chosen on the one half is judged on the other."""
    return int(hashlib.sha256(f"half {user_id}".encode()).hexdigest(), 16) % 2
