"""Seeded hostile files of every format: the sound record beside the hostile ones is stored, and nothing else breaks.

`make soak` gives 500 of each kind to a process that is watched (tests/hostile); here a few run in this one.
"""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest
from hostile.kinds import open_kind

from edge_ttp.errors import EdgeTTPError

pytestmark = pytest.mark.slow

EACH = 12


@pytest.mark.parametrize("kind", ["mbox", "conversations", "tables", "texts_of_others"])
def test_hostile_files_never_end_an_import(kind: str, tmp_path: Path) -> None:
    maker = open_kind(kind, tmp_path)
    for number in range(EACH):
        folder = tmp_path / f"case-{number}"
        folder.mkdir()
        case = maker.case(random.Random(f"{kind} {number}"), folder)
        with suppress(EdgeTTPError):
            case.call()
