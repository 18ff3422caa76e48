"""Models at addresses that the user names: what is there is asked first (size, licence, SHA-256), then fetched.

The Hugging Face hub answers a request for a file of a repository with a redirect whose headers `x-linked-etag` and
`x-linked-size` are the file's SHA-256 and size (huggingface_hub, `get_hf_file_metadata`). Another server says at most
the size; the SHA-256 is then taken from what arrived. Either way it is kept in the manifest, and checked from then on.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import quote, urlsplit

from edge_ttp.errors import DownloadFailed, NotFound
from edge_ttp.paths import private_folder
from edge_ttp.registry.download import Downloader, RefusedByServer
from edge_ttp.registry.manifest import MAX_FILE
from edge_ttp.registry.references import (
    AddressReference,
    HubReference,
    Reference,
    choose_file,
    file_name,
    without_login,
)

HUB = "https://huggingface.co"
HUB_VARIABLE = "HF_ENDPOINT"
"""Environment variable that names a mirror of the hub."""
TOKEN_VARIABLE = "HF_TOKEN"  # noqa: S105  # the variable's name
"""Environment variable with the user's access token, for repositories that ask for one. Sent to the hub alone."""

_REVISION = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Remote:
    """A model file somewhere else, as its server describes it."""

    reference: str
    """As the user wrote it, without a login."""
    url: str
    name: str
    """The file's name."""
    size: int | None
    """Bytes; None where the server does not say."""
    sha256: str | None
    """None where the server does not say."""
    etag: str = ""
    """What the server tells versions of the file apart by."""
    licence: str = ""
    licence_url: str = ""
    revision: str = ""
    """The repository's commit."""


def hub_address(environment: Mapping[str, str] = os.environ) -> str:
    """Address of the hub, without a slash at its end."""
    return (environment.get(HUB_VARIABLE) or HUB).rstrip("/")


def hub_login(hub: str, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The header that each host gets besides: the user's token for the hub, if there is one."""
    token = environment.get(TOKEN_VARIABLE, "").strip()
    return {urlsplit(hub).netloc: f"Bearer {token}"} if token else {}


def resolve(downloader: Downloader, reference: Reference, hub: str, cancel: Event | None = None) -> Remote:
    """What `reference` means today. Raises NotFound, DownloadFailed, Cancelled."""
    if isinstance(reference, AddressReference):
        found = downloader.announced(reference.url, cancel)
        name = file_name(reference.url) or file_name(found.url)
        return Remote(without_login(reference.url), reference.url, name, found.size, found.sha256, found.etag)
    return _from_hub(downloader, reference, hub, cancel)


def fetch(
    downloader: Downloader,
    remote: Remote,
    folder: Path,
    *,
    advance: Callable[[int, int | None], None],
    cancel: Event | None = None,
) -> Path:
    """The complete file of `remote` below `folder`, gone on with where it was begun. Raises as `Downloader.file`."""
    part = private_folder(folder) / f"{part_key(remote)}.part"
    if not remote.sha256 and not remote.etag:
        part.unlink(missing_ok=True)  # nothing tells whether the file there is still the one that was begun
    downloader.file(
        remote.url,
        part,
        sha256=remote.sha256,
        size=remote.size,
        limit=remote.size or MAX_FILE,
        advance=advance,
        validator=remote.etag,
        cancel=cancel,
    )
    return part


def part_key(remote: Remote) -> str:
    """The name under which the file grows: its SHA-256, else one over its address and version."""
    return remote.sha256 or hashlib.sha256(f"{remote.url}\n{remote.etag}\n{remote.size}".encode()).hexdigest()


def _from_hub(downloader: Downloader, reference: HubReference, hub: str, cancel: Event | None) -> Remote:
    try:
        about, _ = downloader.json(f"{hub}/api/models/{reference.repository}", "application/json", cancel)
    except RefusedByServer as refused:
        raise _explained(refused, reference) from refused
    files = about.get("siblings") if isinstance(about, dict) else None
    if not isinstance(files, list):
        raise DownloadFailed(f"the hub says nothing of the files of {reference.repository!r}", "try again later")
    names = [one["rfilename"] for one in files if isinstance(one, dict) and isinstance(one.get("rfilename"), str)]
    name = choose_file(reference, names)
    revision = about.get("sha")
    revision = revision if isinstance(revision, str) and _REVISION.fullmatch(revision) else "main"
    url = f"{hub}/{reference.repository}/resolve/{revision}/{quote(name)}"
    try:
        found = downloader.announced(url, cancel)
    except RefusedByServer as refused:
        raise _explained(refused, reference) from refused
    licence = _licence(about)
    link = f"{HUB}/{reference.repository}"
    return Remote(str(reference), url, file_name(url), found.size, found.sha256, found.etag, licence, link, revision)


def _licence(about: Mapping[str, Any]) -> str:
    """The licence that a repository's card names; empty where it names none."""
    card = about.get("cardData")
    card = card if isinstance(card, dict) else {}
    named = [card.get("license_name") if card.get("license") == "other" else None, card.get("license")]
    tags = about.get("tags")
    named += (
        [tag.removeprefix("license:") for tag in tags if isinstance(tag, str) and tag.startswith("license:")]
        if (isinstance(tags, list))
        else []
    )
    for one in named:
        text = " ".join("".join(c if c.isprintable() else " " for c in str(one or "")).split())[:100]
        if text:
            return text
    return ""


def _explained(refused: RefusedByServer, reference: HubReference) -> Exception:
    if refused.status in (401, 403):
        return DownloadFailed(
            f"the hub does not give out {reference.repository!r} (HTTP {refused.status}): it is private, asks for "
            "consent to its licence, or does not exist",
            f"check the name, or consent on {HUB}/{reference.repository} and set {TOKEN_VARIABLE} to your token",
        )
    if refused.status == 404:
        return NotFound(f"the hub has no repository {reference.repository!r}", "check the name")
    return refused
