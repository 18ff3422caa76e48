"""Which modules a prompt passes on its way from the command to llama.cpp: measured in a real `edge-ttp generate`.

Run as a program over the package that PYTHONPATH names, with the default policy in EDGE_TTP_HOME. Prints one JSON
object: `handed`, the modules that are given the prompt, as text or as tokens, before the first llama_decode; `stack`,
the modules that are in the middle of a call when llama_decode is called, in the thread that asks and in the one that
decodes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

PROMPT = "zebra quagga okapi"
"""Words that nothing else in a request has."""

OPTIONS = ("--user", "nobody", "--no-store", "--n", "2", "--max-tokens", "2", "--select", "consensus")
ARGUMENTS = ("generate", PROMPT, *OPTIONS)


class Witness:
    """Sees every call into edge_ttp until llama_decode is reached for the first time."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens = tuple(tokens)
        self.handed: dict[str, None] = {}
        self.stack: list[str] = []

    def called(self, frame: FrameType, event: str, _: object) -> None:
        name = frame.f_globals.get("__name__", "")
        if event != "call" or self.stack or not name.startswith("edge_ttp"):
            return
        code = frame.f_code
        arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if any(self._is_prompt(frame.f_locals.get(one)) for one in arguments):
            self.handed.setdefault(name)

    def decoding(self) -> None:
        frames = sys._current_frames()
        asks, decodes = threading.main_thread().ident, threading.get_ident()
        names = [name for thread in dict.fromkeys((asks, decodes)) for name in _names(frames.get(thread or 0))]
        self.stack = list(dict.fromkeys(name for name in names if name.startswith("edge_ttp")))

    def _is_prompt(self, value: Any, depth: int = 3) -> bool:
        if isinstance(value, str):
            return PROMPT in value
        if isinstance(value, tuple | list):
            if value and isinstance(value[0], int):
                width = len(self._tokens)
                return any(tuple(value[at : at + width]) == self._tokens for at in range(len(value)))
            return depth > 0 and any(self._is_prompt(one, depth - 1) for one in value[:50])
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = dataclasses.fields(value)
            return depth > 0 and any(self._is_prompt(getattr(value, one.name, None), depth - 1) for one in fields)
        return False


def _names(frame: FrameType | None) -> list[str]:
    """Modules of a stack, the outermost first."""
    names = []
    while frame is not None:
        names.append(str(frame.f_globals.get("__name__", "")))
        frame = frame.f_back
    return names[::-1]


def main(policy: Path) -> None:
    import llama_cpp

    from edge_ttp.cli.main import run

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        if run(list(ARGUMENTS)) != 0:  # loads and measures: what is seen below is a request like all later ones
            sys.exit(said.getvalue())
        words = llama_cpp.Llama(str(policy), vocab_only=True, verbose=False)
        witness = Witness(words.tokenize(f" {PROMPT}".encode(), add_bos=False)[1:])
        decode = llama_cpp.llama_decode

        def seen(*arguments: Any) -> Any:
            if not witness.stack:
                witness.decoding()
            return decode(*arguments)

        llama_cpp.llama_decode = seen
        threading.setprofile(witness.called)
        sys.setprofile(witness.called)
        code = run(list(ARGUMENTS))
        sys.setprofile(None)
    if code != 0:
        sys.exit(said.getvalue())
    print(json.dumps({"handed": list(witness.handed), "stack": witness.stack}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
