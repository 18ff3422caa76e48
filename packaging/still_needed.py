"""Which shared libraries of a frozen app nothing needs any more, once others were left out (Linux: ELF's NEEDED)."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

Collected = tuple[str, str, str]
"""PyInstaller's entry: name in the app, file, kind."""


def without(binaries: Sequence[Collected], candidates: Sequence[str]) -> list[Collected]:
    """`binaries` less those whose name begins with one of `candidates` and that nothing left in the app needs."""
    left = list(binaries)
    while True:
        needed = {name for _, source, _ in left for name in _needs(source)}
        going = [
            one for one in left if Path(one[0]).name.startswith(tuple(candidates)) and Path(one[0]).name not in needed
        ]
        if not going:
            return left
        left = [one for one in left if one not in going]


@cache
def _needs(source: str) -> frozenset[str]:
    """Names of the libraries that a file asks the loader for; none for what is no ELF file."""
    done = subprocess.run(["objdump", "-p", source], capture_output=True, text=True, check=False)
    return frozenset(line.split()[1] for line in done.stdout.splitlines() if line.strip().startswith("NEEDED"))
