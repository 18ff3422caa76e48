"""Everything a user owns as JSON lines, and a file that is either whole or not there."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.jsonl import feedback_line, generation_line, item_line
from edge_ttp.history.store import History


def lines(history: History, user_id: str | None, *, everything: bool = False) -> Iterator[str]:
    """The lines of an export of this user, or of all users if None: items in the order they were stored.

    everything: generations, feedback, what is learned and settings too. Importing the lines restores what they hold;
    ids of items and feedback are given anew.
    """
    yield from (item_line(item) for item in history.iterate_items(user_id))
    if everything:
        yield from (generation_line(generation) for generation in history.iterate_generations(user_id))
        yield from (feedback_line(feedback) for feedback in history.feedback_for(user_id))
        yield from history.learning_lines(user_id)


@contextmanager
def private_file(path: Path) -> Iterator[TextIO]:
    """A text file to write (UTF-8, mode 0600) that takes the place of `path` when the block ends without an error.

    InvalidInput if it cannot be written; what stood at `path` before stays then.
    """
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        cure = "free some space" if error.errno == errno.ENOSPC else "name a file in a folder that can be written"
        raise InvalidInput(f"{path} cannot be written ({error.strerror})", cure) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
