"""How opening a history is refused."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from edge_ttp.errors import HistoryUnavailable
from edge_ttp.history import History


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def beside(path: Path, ending: str) -> Path:
    return Path(f"{path}{ending}")


def refused(path: Path, **options: object) -> str:
    with pytest.raises(HistoryUnavailable) as caught:
        History.open(path, **options)  # type: ignore[arg-type]
    assert caught.value.cure
    assert "\n" not in str(caught.value)
    return str(caught.value)
