"""What the user has set once for all: one small TOML file in the config folder, mode 0600.

An option (or argument) comes first, then the environment, then this file, then the default. The file may be written by
hand: a change through here keeps its other lines.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from edge_ttp.errors import InvalidInput, shown, write_cure
from edge_ttp.paths import Paths, private_folder
from edge_ttp.system.private_file import open_regular

SETTINGS_NAME = "config.toml"
MAX_SETTINGS = 64 << 10
"""Longest file read, in bytes."""
FALLBACK_USER = "me"
"""Whose voice is meant where nothing says whose."""
MODES = ("fast", "balanced", "best")
FORMATS = ("auto", "off")
MAX_RETENTION_DAYS = 36_500
MAX_DISK_GB = 10_000


@dataclass(frozen=True)
class Settings:
    """What is set; None where the default holds."""

    user: str | None = None
    """Whose voice is meant where none is named."""
    model: str | None = None
    """Policy: a name in the store, or the path of a .gguf file."""
    mode: str | None = None
    """What a better answer is worth in time: fast, balanced or best."""
    language: str | None = None
    """ISO 639-1 code of the language that models are suggested for."""
    retention_days: int | None = None
    """Days for which answers are kept, for users without a retention of their own."""
    disk_gb: int | None = None
    """GB that formats made here, merged policies and states of what was read may take together."""
    formats: str | None = None
    """auto: the fastest format of a policy is looked for in the background; off: it is not."""


NAMES = tuple(field.name for field in fields(Settings))
VARIABLES = {name: f"EDGE_TTP_{name.upper()}" for name in NAMES}
"""Setting -> the environment variable that outdoes it."""


def settings_file(paths: Paths) -> Path:
    """Where the settings lie. The file need not be there."""
    return paths.config / SETTINGS_NAME


def read_settings(paths: Paths) -> Settings:
    """What is set in this installation; nothing where there is no file.

    Raises InvalidInput with the file and the first thing wrong in it.
    """
    return _parsed(settings_file(paths), _text(settings_file(paths)))


def settings_in_force(paths: Paths, environment: Mapping[str, str] = os.environ) -> Settings:
    """What is set, by the environment or else in the file. Raises InvalidInput."""
    found = read_settings(paths)
    given = {
        name: environment[variable] for name, variable in VARIABLES.items() if environment.get(variable, "").strip()
    }
    return replace(found, **{name: _checked(name, value) for name, value in given.items()})


def change_settings(paths: Paths, name: str, value: str | int | None) -> Settings:
    """Sets `name` (None: back to the default); returns all that is set then. Raises InvalidInput, changing nothing."""
    if name not in NAMES:
        raise InvalidInput(f"there is no setting {name!r}", f"there are {', '.join(NAMES)}")
    if value is not None:
        value = _checked(name, value)
    file = settings_file(paths)
    before = _text(file)
    lines = [line for line in before.splitlines() if not re.match(rf"\s*[\"']?{name}[\"']?\s*=", line)]
    if value is not None:
        lines.append(f"{name} = {json.dumps(value, ensure_ascii=False)}")  # a JSON string is a TOML string
    text = "\n".join(lines) + "\n" if lines else ""
    found = _parsed(file, text)
    _write(file, text)
    return found


def _parsed(file: Path, text: str) -> Settings:
    cure = f"mend {str(file)!r}, or delete it"
    if not text:
        return Settings()
    import tomllib  # a tenth of what a command beside a server takes in all, for a file that is mostly not there

    try:
        values: Mapping[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a plain ValueError
        raise InvalidInput(f"the settings {str(file)!r} are no TOML: {error}", cure) from error
    unknown = sorted(values.keys() - {*NAMES})
    if unknown:
        raise InvalidInput(
            f"there is no setting {unknown[0]!r} ({str(file)!r})", f"there are {', '.join(NAMES)}; {cure}"
        )
    try:
        return Settings(**{name: _checked(name, value) for name, value in values.items()})
    except InvalidInput as error:
        raise InvalidInput(f"{error.fact} ({str(file)!r})", f"{error.cure}; {cure}") from error


def _checked(name: str, value: Any) -> Any:
    """`value` as the setting `name` has it. Raises InvalidInput."""
    if name == "retention_days":
        return _whole(name, value, "days", r"([0-9]{1,9})d?", MAX_RETENTION_DAYS)
    if name == "disk_gb":
        return _whole(name, value, "GB", r"([0-9]{1,6})", MAX_DISK_GB)
    if not isinstance(value, str) or not value.strip() or len(value) > 4000:
        raise InvalidInput(f"{name}={shown(value)} is no text", "give one, in quotes")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise InvalidInput(f"{name}={value!a} holds control characters", "use printable characters only")
    if name == "mode" and value not in MODES:
        raise InvalidInput(f"{name}={value!r} is no mode", f"choose {', '.join(MODES)}")
    if name == "formats" and value not in FORMATS:
        raise InvalidInput(f"{name}={value!r} is not known", f"choose {' or '.join(FORMATS)}")
    if name == "language" and not re.fullmatch(r"[a-z]{2}", value):
        raise InvalidInput(f"{name}={value!r} is no language", "give an ISO 639-1 code such as en, de or fr")
    return value


def _whole(name: str, value: Any, unit: str, form: str, most: int) -> int:
    """`value` as a whole number from 1 to `most`, or a text of that form. Raises InvalidInput."""
    written = re.fullmatch(form, value) if isinstance(value, str) else None
    number = value if written is None else int(written[1])
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= most:
        raise InvalidInput(f"{name}={shown(value)} is no number of {unit}", f"use 1 to {most}")
    return number


def _text(file: Path) -> str:
    try:
        with open_regular(file) as opened:
            data = opened.read(MAX_SETTINGS + 1)
        if len(data) > MAX_SETTINGS:
            raise InvalidInput(f"the settings {str(file)!r} are too long", f"keep below {MAX_SETTINGS >> 10} KiB")
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise InvalidInput(f"cannot read the settings {str(file)!r}: {error.strerror or error}", "mend it") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the settings {str(file)!r} are not UTF-8", "save the file as UTF-8") from error


def _write(file: Path, text: str) -> None:
    """Makes `text` the content of `file` (mode 0600), whole or not at all."""
    partial = file.with_name(f".{file.name}.partial")
    try:
        private_folder(file.parent)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as opened:
            opened.write(text)
        os.replace(partial, file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InvalidInput(
            f"cannot write the settings {str(file)!r}: {error.strerror or error}", write_cure(error)
        ) from error
