"""Pulling a model that no manifest describes yet: from the hub, from any https address, or as an offer of this package.

What arrives goes through `Registry.add` like every file that is new here, and has a manifest from then on.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Event

from edge_ttp.errors import Cancelled, DownloadFailed, InvalidInput, ModelUnavailable
from edge_ttp.registry.adopt import suggest_name
from edge_ttp.registry.download import Downloader
from edge_ttp.registry.manifest import Address
from edge_ttp.registry.offers import Offer
from edge_ttp.registry.pull import DISK_MARGIN, Note, Progress
from edge_ttp.registry.references import parse_reference, without_login
from edge_ttp.registry.remote import Remote, fetch, part_key, resolve
from edge_ttp.registry.results import ModelEntry
from edge_ttp.registry.shelf import Shelf


def pull_remote(
    shelf: Shelf,
    downloader: Downloader,
    downloads: Path,
    source: str,
    *,
    hub: str,
    name: str | None,
    offer: Offer | None,
    lock: Callable[[str], AbstractContextManager[None]],
    add: Callable[..., ModelEntry],
    mend: Callable[[str], Path],
    progress: Progress,
    note: Note,
    cancel: Event | None,
) -> Path:
    """The place of the model at `source` in the store, fetched and taken in unless it is there already.

    `add` takes a file into the store (Registry.add), `mend` makes one that is known whole again (Registry.pull).

    Raises NotFound, InvalidInput for a taken name, DownloadFailed, ModelUnavailable for a file that is no usable model,
    Cancelled; what has arrived is kept then and gone on with, save for a file that is of no use.
    """
    shown = without_login(source) if "@" in source else source
    remote = resolve(downloader, parse_reference(source), hub, cancel)
    if not remote.name.lower().endswith(".gguf"):
        raise InvalidInput(f"the file at {shown[:200]!r} is no .gguf file", "name the address of a .gguf file")
    wanted = name or (offer.name if offer is not None else suggest_name(Path(remote.name).stem))
    licence = offer.licence if offer is not None else remote.licence or None
    with lock(f"pull-{part_key(remote)[:32]}"):
        known = _known(shelf, wanted, remote, mend)
        if known is not None:
            return known
        note(_announcement(wanted, remote, licence))
        _refuse_full_disk(downloads, wanted, remote)
        try:
            arrived = fetch(
                downloader, remote, downloads, advance=lambda done, total: progress(done, total or 0), cancel=cancel
            )
        except DownloadFailed as failed:
            raise DownloadFailed(
                f"cannot fetch {remote.name!r}: {failed.fact}",
                f"check the network, then run `edge-ttp models pull {shown}` again (what has arrived is kept)",
            ) from failed
        except Cancelled as stopped:
            raise Cancelled(stopped.fact, f"run `edge-ttp models pull {shown}` again to go on") from stopped
        try:
            entry = add(
                arrived,
                name=wanted,
                file_name=remote.name,
                licence=licence,
                licence_url=offer.licence_url if offer is not None else _https(remote.licence_url),
                description=offer.description if offer is not None else None,
                sources=(Address(url=without_login(remote.url)),),
                recipe={key: value for key, value in _origin(remote).items() if value},
                move=True,
                note=note,
                cancel=cancel,
            )
        except ModelUnavailable as useless:
            if not isinstance(useless.__cause__, OSError):
                arrived.unlink(missing_ok=True)  # fetching it again would bring the same
            raise
        assert entry.path is not None
        return entry.path


def _known(shelf: Shelf, wanted: str, remote: Remote, mend: Callable[[str], Path]) -> Path | None:
    """Where the model lies if the store has it, under whatever name. Raises InvalidInput where its name is taken."""
    for entry in shelf.list():
        if entry.variant_of is not None:
            continue
        manifest = shelf.manifest(entry.name)
        if remote.sha256 is not None and manifest.sha256 == remote.sha256:
            return mend(manifest.name)
        if manifest.name == wanted:
            if entry.installed and manifest.recipe.get("source") == remote.reference and remote.sha256 is None:
                return entry.path
            raise InvalidInput(
                f"the name {wanted!r} is taken", "choose another with --name, or remove the other model first"
            )
    return None


def _announcement(name: str, remote: Remote, licence: str | None) -> str:
    size = f"{remote.size / 10**6:,.0f} MB" if remote.size else "of unknown size"
    checked = "its SHA-256 is known" if remote.sha256 else "its SHA-256 is taken from what arrives"
    return f"{name}: {remote.name}, {size}, licence {licence or 'unknown'}, {checked}"


def _origin(remote: Remote) -> dict[str, str]:
    return {"source": remote.reference, "revision": remote.revision}


def _https(url: str) -> str:
    return url if url.startswith("https://") else ""


def _refuse_full_disk(downloads: Path, name: str, remote: Remote) -> None:
    folder = downloads
    while not folder.exists():
        folder = folder.parent
    part = downloads / f"{part_key(remote)}.part"
    arrived = part.stat().st_size if part.exists() else 0
    need, free = max(0, (remote.size or 0) - arrived) + DISK_MARGIN, shutil.disk_usage(folder).free
    if free < need:
        raise DownloadFailed(
            f"the model {name!r} needs {need >> 20} MiB, but {free >> 20} MiB are free in {str(folder)!r}",
            "make room, or set EDGE_TTP_HOME to a folder on a larger disk",
        )
