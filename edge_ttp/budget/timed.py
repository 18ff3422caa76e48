"""The form in which a policy says what it takes: the one thing that the policy and the budget have to agree on."""

from __future__ import annotations

from dataclasses import dataclass

CHUNK = 128
"""Prompt tokens computed at once: small enough to reuse most of a prompt, large enough for full speed."""


@dataclass(frozen=True)
class Timed:
    """Timings of one policy on this device with one number of threads."""

    threads: int
    chunks: tuple[tuple[int, int, float], ...]
    """Prompt tokens read at once, tokens before them, seconds."""
    steps: tuple[tuple[int, int, float], ...]
    """Rows of a decode step, tokens in the cache, seconds."""
