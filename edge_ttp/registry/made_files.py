"""What lies on the disk only because it was made here: how much it is, and what goes when it becomes too much.

Formats derived of a model, policies merged with an adapter, and states of what was read of users' examples. Their limit
is the setting `disk_gb`. The least recently used goes first: states and derived formats, which come back by themselves
or with one command. A merged policy counts but stays, since only whoever made it can make it again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from edge_ttp.paths import Paths
from edge_ttp.registry.catalog import Catalog, Entry
from edge_ttp.registry.integrity import bytes_below
from edge_ttp.registry.manifest import MANIFEST_NAME
from edge_ttp.registry.variants import Variants
from edge_ttp.system.settings import settings_in_force

DEFAULT_GB = 8
"""GB (10^9 bytes) that such files may take where nothing is set."""
STATE_ENDING = ".state"
STATES_BYTES = 512 * 2**20
"""What states may take of it, all users' together. Kept free for them, so that neither has to look at the other."""

_TOUCH_S = 3600.0
"""A format counts as used once an hour at most: noting it costs a write."""

MadeKind = Literal["state", "derived", "merged"]


@dataclass(frozen=True)
class MadeFile:
    """Something that was made here."""

    kind: MadeKind
    name: str
    """Of a model as it is asked for; of a state the file's."""
    size: int
    """Bytes."""
    used: float
    """When it was last used, in seconds since 1970."""
    chosen: bool = False
    """A format that this device prefers: it goes last."""


def limit_bytes(paths: Paths) -> int:
    """What all of them together may take. Raises InvalidInput for settings that cannot be read."""
    return (settings_in_force(paths).disk_gb or DEFAULT_GB) * 10**9


def made_files(paths: Paths, catalog: Catalog) -> list[MadeFile]:
    """All of them, the least recently used first."""
    found = []
    for file in paths.states.glob(f"*/*{STATE_ENDING}"):
        with suppress(OSError):  # another process took it away
            status = file.stat()
            found.append(MadeFile("state", file.name, status.st_size, status.st_mtime))
    for entry in catalog.entries():
        if _merged(entry):
            found.append(_model("merged", entry))
        variants = catalog.variants(entry)
        preferred = catalog.preferred(entry).label if variants else ""
        found += [_model("derived", one, chosen=one.label == preferred) for one in variants]
    return sorted(found, key=lambda one: (one.used, one.name))


def used(entry: Entry) -> None:
    """Notes that a model is used now, if it was made here."""
    if not entry.variant and not _merged(entry):
        return
    file = entry.folder / MANIFEST_NAME
    with suppress(OSError):  # a store that cannot be written
        if time.time() - file.stat().st_mtime > _TOUCH_S:
            os.utime(file)


def room_for_formats(paths: Paths, catalog: Catalog) -> int:
    """Bytes that one derived format may have: what is left of the limit when all others are gone."""
    merged = sum(one.size for one in made_files(paths, catalog) if one.kind == "merged")
    return max(0, limit_bytes(paths) - STATES_BYTES - merged)


def make_room(paths: Paths, catalog: Catalog, variants: Variants, *, keep: str) -> Sequence[MadeFile]:
    """Takes away the least recently used formats until all fit beside what states may take; those that went.

    Not the one called `keep`, which was just made; formats that this device prefers go last.
    """
    held = [one for one in made_files(paths, catalog) if one.kind != "state"]
    over = sum(one.size for one in held) - (limit_bytes(paths) - STATES_BYTES)
    gone = []
    for one in sorted(held, key=lambda one: one.chosen):  # stable: the least recently used first
        if over <= 0:
            break
        if one.kind == "derived" and one.name != keep:
            name, format = one.name.split(":")
            with suppress(OSError):  # Windows keeps a file that somebody has open
                variants.forget(name, format)
                over -= one.size
                gone.append(one)
    return gone


def _merged(entry: Entry) -> bool:
    return entry.manifest.recipe.get("lora") == "merged" and not entry.shipped


def _model(kind: MadeKind, entry: Entry, *, chosen: bool = False) -> MadeFile:
    when = 0.0
    with suppress(OSError):
        when = (entry.folder / MANIFEST_NAME).stat().st_mtime
    size = bytes_below(entry.folder) if kind == "derived" else entry.manifest.size
    return MadeFile(kind, entry.label, size, when, chosen)
