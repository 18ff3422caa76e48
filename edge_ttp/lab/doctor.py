"""What could keep this installation from answering: every part looked at, each with what it found and the cure."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_ttp import __version__
from edge_ttp.errors import EdgeTTPError
from edge_ttp.paths import Paths

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """One finding."""

    name: str
    status: Status
    detail: str
    cure: str = ""


def examine(paths: Paths, policy_url: str | None = None) -> Iterator[Check]:
    """All findings, in the order in which a request would need the parts. Writes nothing but a missing data folder.

    `policy_url`: an engine elsewhere that is to draw. Without it nothing is sent anywhere.
    """
    yield Check(
        "edge-ttp",
        "ok",
        f"{__version__}, Python {platform.python_version()} on {platform.system()} {platform.machine()}",
    )
    for name, look in (
        ("llama.cpp", _llama),
        ("onnxruntime", _onnxruntime),
        ("device", _device),
    ):
        yield from _guarded(name, look)
    yield from _guarded("policy engine", lambda: _policy_engine(policy_url))
    yield from _folders(paths)
    yield from _guarded("settings", lambda: _settings(paths))
    yield from _guarded("models", lambda: _models(paths))
    yield from _guarded("history", lambda: _history(paths))
    yield from _guarded("disk", lambda: _made_here(paths))


def _guarded(name: str, look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """What `look` finds; an error of ours becomes a finding, so that the rest is still examined."""
    try:
        yield from look()
    except EdgeTTPError as error:
        yield Check(name, "fail", error.fact, error.cure)


def _llama() -> Iterator[Check]:
    from edge_ttp.policy import bindings

    yield Check("llama.cpp", "ok", f"llama-cpp-python {bindings.version()}")
    gpus = [
        f"{gpu.name}, {gpu.memory_free / 2**30:.1f} of {gpu.memory_total / 2**30:.1f} GiB free"
        for gpu in bindings.gpus()
    ]
    yield Check("GPU", "ok", "; ".join(gpus) or "none that this llama.cpp can use: the CPU decodes")
    features = [part.strip() for part in bindings.system_info().replace("CPU :", "").split("|") if part.strip()]
    yield Check("CPU features", "ok", ", ".join(features))


def _onnxruntime() -> Iterator[Check]:
    from edge_ttp.reward import session as onnx_session

    yield Check("onnxruntime", "ok", f"{onnx_session.version()}, providers: {', '.join(onnx_session.providers())}")
    if onnx_session.TELEMETRY_OFF:
        yield Check("telemetry", "ok", "off: onnxruntime was imported with ORT_DISABLE_TELEMETRY=1")
    else:
        yield Check(
            "telemetry",
            "fail",
            "onnxruntime was imported with its telemetry on before edge_ttp",
            "set ORT_DISABLE_TELEMETRY=1 for the process, or import edge_ttp.reward.session first",
        )


def _device() -> Iterator[Check]:
    from edge_ttp.budget import device

    found = device.inspect()
    free, total = found.memory_available / 2**30, found.memory_total / 2**30
    yield Check(
        "device",
        "ok" if free >= 1 else "warn",
        f"{found.cores} cores, {free:.1f} of {total:.1f} GiB memory free, on {found.energy}",
        "" if free >= 1 else "close other programs, or choose a small model",
    )


def _policy_engine(url: str | None) -> Iterator[Check]:
    if url is None:
        yield Check("policy engine", "ok", "this device draws, nothing is sent anywhere (--policy-url names an engine)")
        return
    from edge_ttp.policy.elsewhere.address import EngineAddress
    from edge_ttp.policy.elsewhere.engine_policy import EnginePolicy

    address = EngineAddress.of(url)
    policy = EnginePolicy(address)
    try:
        found = f"{address.url} draws, and prompts are sent there: {policy.in_words}"
    finally:
        policy.close()
    if address.local or address.encrypted:
        yield Check("policy engine", "ok", found)
    else:
        yield Check("policy engine", "warn", f"{found}; what is sent there is not encrypted", "use https")


def _folders(paths: Paths) -> Iterator[Check]:
    for name, folder in (("data", paths.data), ("config", paths.config), ("cache", paths.cache)):
        existing = folder
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
        if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
            yield Check(f"{name} folder", "ok", str(folder) + ("" if folder.exists() else " (made when needed)"))
        else:
            yield Check(
                f"{name} folder", "fail", f"{folder} cannot be written", "fix its permissions or set EDGE_TTP_HOME"
            )


def _settings(paths: Paths) -> Iterator[Check]:
    from edge_ttp.system.settings import VARIABLES, read_settings, settings_file, settings_in_force

    file, stored, meant = settings_file(paths), read_settings(paths), settings_in_force(paths)
    values = [
        f"{name}={value}{'' if value == getattr(stored, name) else f' ({VARIABLES[name]})'}"
        for name, value in vars(meant).items()
        if value is not None
    ]
    detail = ", ".join(values) or "nothing set: the defaults hold"
    private = sys.platform == "win32" or not file.exists() or not file.stat().st_mode & 0o077
    yield Check(
        "settings", "ok" if private else "warn", f"{detail} ({file})", "" if private else f"chmod 600 {str(file)!r}"
    )


def _models(paths: Paths) -> Iterator[Check]:
    from edge_ttp.registry import DEFAULT_POLICY, DEFAULT_REWARD, Registry

    registry = Registry(paths)
    for problem in registry.problems():
        yield Check("models", "warn", problem, "remove or repair that manifest")
    for entry in registry.list():
        needed = entry.name in (DEFAULT_POLICY, DEFAULT_REWARD)
        title = f"{entry.kind} {entry.name}"
        try:
            located = registry.locate(entry.name)
            uses = "" if located.manifest is None or not located.manifest.uses else _used(located.manifest.uses)
            yield Check(title, "ok", f"verified, {entry.size / 1e6:.0f} MB{uses}, {located.path}")
        except EdgeTTPError as error:
            if entry.installed or needed:
                yield Check(title, "fail", error.fact, error.cure)
            else:
                yield Check(title, "ok", f"not on this device (edge-ttp models pull {entry.name})")


def _used(uses: Sequence[str]) -> str:
    """What an adapter is used for by itself."""
    return f", used by `{'` and `'.join(uses)}` unless --adapter none"


def _history(paths: Paths) -> Iterator[Check]:
    from edge_ttp.history import History

    if not paths.database.exists():
        yield Check("history", "ok", f"{paths.database} (made when needed)")
        return
    with History.open(paths.database, create=False) as history:
        health = history.health(full=True)
    counts = ", ".join(f"{number} {table}" for table, number in health.counts.items() if table in _COUNTED)
    detail = f"{_size(health.path)}, {health.journal_mode} journal, SQLite {health.sqlite_version}, {counts}"
    if not health.sound:
        yield Check(
            "history",
            "fail",
            f"{health.path} is damaged: {'; '.join(health.problems)[:300]}",
            "restore it from a backup",
        )
    elif health.read_only:
        yield Check(
            "history",
            "warn",
            f"{detail}; read-only: nothing new is kept",
            "make the file and its folder writable, or free some space",
        )
    else:
        yield Check("history", "ok", detail)
    if not health.private and sys.platform != "win32":
        modes = ", ".join(f"{file} {mode}" for file, mode in health.modes.items())
        yield Check("history privacy", "fail", f"others may read the history ({modes})", f"chmod 600 {health.path}*")


_COUNTED = ("users", "items", "generations", "feedback")


def _made_here(paths: Paths) -> Iterator[Check]:
    from edge_ttp.registry import Registry
    from edge_ttp.registry.made_files import limit_bytes

    held = Registry(paths).made_files()
    parts = []
    for kind, words in (
        ("state", "files of what was read of users' examples"),
        ("derived", "formats made here"),
        ("merged", "merged policies"),
    ):
        sizes = [one.size for one in held if one.kind == kind]
        parts.append(f"{len(sizes)} {words} ({sum(sizes) / 1e6:.0f} MB)")
    total, limit = sum(one.size for one in held), limit_bytes(paths)
    first = next((one for one in held if one.kind == "derived"), None)
    goes = f"; {first.name} would go first" if first is not None else ""
    fits = total <= limit
    yield Check(
        "disk",
        "ok" if fits else "warn",
        f"{', '.join(parts)}: {total / 1e9:.2f} of {limit / 1e9:g} GB{goes}",
        "" if fits else "edge-ttp models rm NAME, or allow more: edge-ttp config set disk_gb 20",
    )


def _size(path: Path) -> str:
    return f"{path} ({path.stat().st_size / 1e6:.1f} MB)"
