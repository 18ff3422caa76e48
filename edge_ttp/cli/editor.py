"""A text in the user's own editor: $VISUAL, else $EDITOR, else what the system has."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from edge_ttp.errors import InvalidInput


def edit(text: str) -> str | None:
    """The text as it was saved, None where it was left as it was. Raises InvalidInput where no editor starts."""
    command = _command()
    handle, name = tempfile.mkstemp(prefix="edge-ttp-", suffix=".txt")  # mode 0600
    file = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(text + "\n")
        try:
            code = subprocess.run([*command, name], check=False).returncode
        except OSError as error:
            raise InvalidInput(
                f"the editor {command[0]!r} cannot be started: {error.strerror or error}", "set EDITOR"
            ) from error
        if code:
            raise InvalidInput(f"the editor {command[0]!r} ended with exit code {code}", "save and leave it normally")
        try:
            edited = file.read_text(encoding="utf-8").removesuffix("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput("the edited text cannot be read", "save it as UTF-8") from error
        return edited if edited != text else None
    finally:
        file.unlink(missing_ok=True)


def _command() -> list[str]:
    wanted = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if wanted:
        try:
            words = shlex.split(wanted)
        except ValueError as error:
            raise InvalidInput(f"EDITOR={wanted!r} is no command ({error})", "set it to a program") from error
        if words:
            return words
    for name in ("sensible-editor", "nano", "vi", "notepad"):
        if shutil.which(name):
            return [name]
    raise InvalidInput("there is no editor", "set EDITOR to one, or give the text behind /edit")
