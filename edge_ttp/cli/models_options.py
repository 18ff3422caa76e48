"""What the commands of `edge-ttp models` share: options, the store, sizes in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edge_ttp.registry import ModelEntry, Registry

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def registry() -> Registry:
    """The store of this installation."""
    from edge_ttp.paths import locate
    from edge_ttp.registry import Registry

    return Registry(locate())


def as_dict(entry: ModelEntry) -> dict[str, object]:
    """The entry as JSON has it."""
    from dataclasses import asdict

    return {**asdict(entry), "path": str(entry.path) if entry.path is not None else None}


def size(count: int) -> str:
    """`count` bytes as a person reads them, in powers of 1000."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"
