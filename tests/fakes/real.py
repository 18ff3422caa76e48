"""Homes with the real policy, prepared so that a process does not measure the device again."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from edge_ttp.paths import locate, private_folder
from edge_ttp.registry import DEFAULT_POLICY, Registry
from edge_ttp.runtime import Runtime


@cache
def _measurements(policy: Path) -> dict[str, bytes]:
    """The cache files of a home in which `policy` was used once."""
    with TemporaryDirectory() as folder:
        with Runtime.open(home=folder, model=str(policy)) as runtime:
            runtime.warm(rule="first")
        return {file.name: file.read_bytes() for file in locate(folder).cache.glob("device.json")}


def linked_policy(home: Path, policy: Path) -> None:
    """Puts the default policy, whose file is `policy`, into the model store of `home`: linked, not copied."""
    store = locate(home).models / policy.parent.name
    store.mkdir(parents=True)
    for file in policy.parent.iterdir():
        (store / file.name).symlink_to(file)


def spare_measuring(home: Path) -> None:
    """Puts what the device was measured to cost into the cache of `home`, which has the default policy."""
    paths = locate(home)
    policy = Registry(paths).locate(DEFAULT_POLICY).path
    for name, data in _measurements(policy.resolve()).items():
        (private_folder(paths.cache) / name).write_bytes(data)
