"""Where chats lie: a text file, Telegram's JSON, the zip that WhatsApp makes, or a folder of such files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange import chats, telegram
from edge_ttp.exchange.files import DAMAGED, files_below
from edge_ttp.exchange.records import Advance, BadRecord, Entry, Remark, no_progress
from edge_ttp.exchange.text import decoded, plain

MAX_CHAT = 256 * 2**20
"""Largest text of a chat in bytes."""

_HEAD = 16_384
_LOOKED_AT = 40
"""Files of a folder that have to begin as chats do, at most."""
_ENDINGS = (".txt", ".md")
_TELEGRAMS = ".json"
_NAME = "result"
"""What the names of Telegram's files begin with; beside other chats lie JSON files that are none."""


def begins_chat(head: bytes) -> bool:
    """Whether a file that begins so is a chat in lines, in blocks, or of Telegram."""
    return telegram.begins(head) or chats.is_chat(plain(decoded(head[: head.rfind(b"\n") + 1] or head).text))


def files_in(folder: Path) -> list[Path]:
    """The chats below a folder. None where its first texts are anything else."""
    texts = files_below(folder, _ENDINGS)
    if not all(_begins(path) for path in texts[:_LOOKED_AT]):
        return []
    named = [path for path in files_below(folder, (_TELEGRAMS,)) if path.name.lower().startswith(_NAME)]
    return sorted([*texts, *(path for path in named[:_LOOKED_AT] if _begins(path))])


def _begins(path: Path) -> bool:
    with path.open("rb") as stream:
        return begins_chat(stream.read(_HEAD))


def messages(
    path: Path, how: chats.ChatReading, encoding: str | None, progress: Advance = no_progress
) -> Iterator[Entry]:
    """What the person said in the chat at `path`, numbered by line, or in the chats below it, numbered by file.

    InvalidInput for a file that is no chat or does not say who of its people the user is; within a folder such a file
    is a bad record. progress is called with the lines read, or the files.
    """
    if not path.is_dir():
        yield from _of_file(path, how, encoding, progress)
        return
    refused, known = None, False
    for number, file in enumerate(files_in(path), 1):
        try:
            for one in _of_file(file, how, encoding, no_progress):
                known = True
                yield one if isinstance(one, Remark) else replace(one, number=number)
        except InvalidInput as error:
            refused = refused or error
            yield BadRecord(number, error.fact)
        progress(number)
    if refused is not None and not known:
        raise refused


def _of_file(path: Path, how: chats.ChatReading, encoding: str | None, progress: Advance) -> Iterator[Entry]:
    data = _text_of(path)
    if telegram.begins(data[:_HEAD]):
        yield from telegram.messages(data, str(path), how, progress)
        return
    found = decoded(data, encoding)
    if found.guessed:
        yield Remark(f"{path} was read as {found.encoding}, by its bytes; --encoding says otherwise")
    yield from chats.messages(found.text, str(path), how, progress)


def _text_of(path: Path) -> bytes:
    """The bytes of a chat's text, in a file of its own or in the zip that WhatsApp makes."""
    try:
        if not zipfile.is_zipfile(path):
            size, data = path.stat().st_size, b""
            data = path.read_bytes() if size <= MAX_CHAT else data
        else:
            with zipfile.ZipFile(path) as archive:
                listed = archive.infolist()
                member = next(one for one in listed if chats.MEMBER.fullmatch(one.filename.rsplit("/", 1)[-1]))
                size = member.file_size
                data = archive.open(member).read(MAX_CHAT + 1) if size <= MAX_CHAT else b""
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read ({error.strerror or error})", "check the file") from error
    except (*DAMAGED, StopIteration) as error:
        raise InvalidInput(f"{path} is a damaged archive, or no chat", "export it again") from error
    if size > MAX_CHAT or len(data) > MAX_CHAT:
        raise InvalidInput(f"{path} is larger than {MAX_CHAT // 2**20} MiB", "export a shorter chat")
    return data
