"""Histories, files and lines that the tests of `edge-ttp history` share."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.schema import (
    Candidate,
    Generation,
    Plan,
    Sampling,
    Selection,
    Timings,
    Usage,
    utc_now,
)

Invoke = Callable[..., str]


def stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def write_lines(path: Path, count: int, **fields: object) -> Path:
    lines = [json.dumps({"input": f"in {number}", "output": f"out {number}", **fields}) for number in range(count)]
    path.write_text("\n".join(lines) + "\n")
    return path


def record(name: str, days_ago: int = 0, user: str = "me") -> None:
    candidate = Candidate(text="hi", tokens=2, logprob=-1.0, finish_reason="stop", seed=1)
    generation = Generation(
        text="hi",
        generation_id=name,
        user=user,
        prompt="greet",
        model="tiny",
        n=1,
        chosen=0,
        candidates=(candidate,),
        selection=Selection(rule="first", reason="only one"),
        plan=Plan(n=1, bound_by="requested", max_tokens=5, examples=0),
        timings=Timings(),
        usage=Usage(prompt_tokens=3, completion_tokens=2),
        seed=1,
        sampling=Sampling(),
        created_at=utc_now() - timedelta(days=days_ago),
    )
    with History.open(locate().database) as history:
        history.record(generation)
