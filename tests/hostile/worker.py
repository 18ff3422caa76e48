"""The calling process: runs cases one after another and prints a JSON line before and after each.

python -m tests.hostile.worker KIND SEED FOLDER, then the numbers of the cases on standard input, one a line.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge_ttp.errors import EdgeTTPError

from .case import Fault
from .kinds import open_kind

Say = Callable[[dict[str, Any]], None]


def run_case(kind_name: str, kind: Any, seed: int, number: int, folder: Path, say: Say) -> None:
    """Makes and calls one case."""
    folder.mkdir(parents=True)
    try:
        case = kind.case(random.Random(f"{seed}/{kind_name}/{number}"), folder)
        say({"begin": number, "what": case.what, "deadline_s": kind.deadline_s, "budget_bytes": kind.budget_bytes})
        result: dict[str, Any] = {"end": number}
        _forget_peak()
        started = time.monotonic()
        try:
            case.call()
            result["outcome"] = "answered"
        except EdgeTTPError as refusal:
            result |= {"outcome": "refused", "words": str(refusal), "code": refusal.code}
        except Fault as fault:
            result |= {"outcome": fault.name, "words": fault.words}
        except BaseException as error:  # noqa: BLE001  a Rust panic is no Exception
            where = traceback.extract_tb(error.__traceback__)[-1]
            at = f"{Path(where.filename).name}:{where.lineno}"
            result |= {"outcome": "traceback", "words": f"{type(error).__name__} at {at}: {str(error)[:200]}"}
        result |= {"seconds": time.monotonic() - started, "peak_bytes": _peak()}
        say(result)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _forget_peak() -> None:
    """Lets the kernel measure the most resident memory from now on. Linux only."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Most bytes of this process that were resident at once since `_forget_peak`; 0 where the system does not say."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def main(kind_name: str, seed: str, folder: str) -> None:
    """Runs the cases named on standard input."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what native code prints does not mix with the lines
    home = Path(folder) / "home"
    home.mkdir(parents=True)
    kind = open_kind(kind_name, home)

    def say(line: dict[str, Any]) -> None:
        out.write(json.dumps(line) + "\n")

    say({"ready": True})
    for line in sys.stdin:
        run_case(kind_name, kind, int(seed), int(line), Path(folder) / f"case-{int(line)}", say)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))  # kinds may use the makers of other tests
    main(*sys.argv[1:])
