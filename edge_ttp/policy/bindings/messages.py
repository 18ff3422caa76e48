"""What llama.cpp says: handed to `logging` as "edge_ttp.llama", and kept as the reason behind a bare NULL.

llama.cpp has one callback for all its messages. A host program that has set its own keeps hearing them: ours hands
every message on. Nothing is printed unless the host gives the logger a handler.
"""

from __future__ import annotations

import ctypes
import logging
import math
import re
from collections import deque
from typing import Any

import llama_cpp
from llama_cpp import _logger as llama_cpp_logger

_log = logging.getLogger("edge_ttp.llama")
_INFO, _ERROR, _CONTINUED = 2, 4, 5  # ggml_log_level
_LEVELS = {1: logging.DEBUG, _INFO: logging.INFO, 3: logging.WARNING, _ERROR: logging.ERROR}
_COPY = re.compile(r"CPU_(?!Mapped)\w+ model buffer size = +([\d.]+) MiB")
_LONGEST_LINE = 4000

_complaints: deque[str] = deque(maxlen=8)  # the last error lines
_copies: deque[float] = deque(maxlen=64)  # MiB of weights copied into another layout, which it says nowhere else
_line: list[Any] = [logging.INFO, ""]  # level and text of a line that has not ended
_hosts: list[tuple[Any, ctypes.c_void_p]] = []  # the host program's callback, if it has one


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _hear(level: int, text: bytes, data: Any) -> None:
    for callback, its_data in _hosts:
        callback(level, text, its_data)
    if level == _ERROR:
        _complaints.append(text.decode("utf-8", "replace").strip())
    elif level == _INFO and (found := _COPY.search(text.decode("utf-8", "replace"))):
        _copies.append(float(found[1]))
    if level != _CONTINUED:
        _line[0] = _LEVELS.get(level, logging.INFO)
    if _log.isEnabledFor(_line[0]):
        _tell(text.decode("utf-8", "replace"))


def _tell(text: str) -> None:
    """Logs whole lines; llama.cpp says them in pieces."""
    *lines, rest = (_line[1] + text).split("\n")
    if len(rest) > _LONGEST_LINE:
        lines, rest = [*lines, rest], ""
    _line[1] = rest
    for line in lines:
        if line.strip(" ."):
            _log.log(_line[0], "%s", line.rstrip())


def _address(callback: Any) -> int | None:
    return ctypes.cast(callback, ctypes.c_void_p).value


def listen() -> None:
    """Hears llama.cpp's messages from now on, together with the callback that the host program has set."""
    current, data = llama_cpp.llama_log_callback(), ctypes.c_void_p()
    llama_cpp.llama_log_get(ctypes.byref(current), ctypes.byref(data))
    if _address(current) == _address(_hear):
        return
    # llama-cpp-python sets a callback of its own when it is imported: it prints, and nobody asked for that.
    if _address(current) in (None, _address(llama_cpp_logger.llama_log_callback)):
        _hosts.clear()
    else:
        _hosts[:] = [(current, data)]
    llama_cpp.llama_log_set(_hear, ctypes.c_void_p(0))


def forget_complaints() -> None:
    """Empties the list of error lines, before a call whose failure is to be explained."""
    listen()
    _complaints.clear()
    _copies.clear()


def complaints(otherwise: str) -> str:
    """llama.cpp's error lines since they were last forgotten, in one line; `otherwise` where there are none."""
    return "; ".join(_complaints)[:300] or otherwise


def copied_bytes() -> int:
    """Bytes of weights that were copied into another layout since complaints were last forgotten."""
    return math.ceil(sum(_copies) * 2**20)
