"""The file of a history: what is no regular file is refused at once, and one that lost its name takes no rows."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from edge_ttp.errors import HistoryUnavailable
from edge_ttp.history import History
from edge_ttp.system.output_file import DATABASE_ENDINGS

from .conftest import new_item


@pytest.mark.timeout(20)
@pytest.mark.parametrize("ending", DATABASE_ENDINGS)
@pytest.mark.parametrize("kind", ["a pipe", "a socket", "a device", "a folder"])
def test_what_is_no_regular_file_is_refused_at_once(path: Path, kind: str, ending: str) -> None:
    History.open(path).close()
    file = Path(f"{path}{ending}")
    file.unlink(missing_ok=True)
    if kind == "a pipe":
        os.mkfifo(file)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(file))
    elif kind == "a device":
        file.symlink_to("/dev/zero")
    else:
        file.mkdir()
    with pytest.raises(HistoryUnavailable, match=kind) as refused:
        History.open(path)
    assert "\n" not in str(refused.value)
    assert str(file) in str(refused.value)


@pytest.mark.parametrize("what", ["moved", "deleted", "replaced"])
def test_rows_are_not_written_into_a_file_that_lost_its_name(path: Path, what: str) -> None:
    with History.open(path) as history:
        history.add(new_item("kept"))
        if what == "moved":
            path.rename(path.with_name("elsewhere.db"))
        elif what == "deleted":
            path.unlink()
        else:
            shutil.copy(path, path.with_name("other.db"))
            path.with_name("other.db").replace(path)
        for write in (lambda: history.add(new_item("lost")), lambda: history.forget("ann", everything=True)):
            with pytest.raises(HistoryUnavailable, match="moved, deleted or replaced while it was open; open it again"):
                write()
