"""Files of our own that somebody else wrote: settings, caches, manifests, what names a running server, states."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.schema import HistoryItem

from ..case import Case, Fault
from ..process import command

FILES = (
    *("config/config.toml", "cache/device.json", "cache/verified.json", "cache/tried.json", "cache/foreground.lock"),
    *("run/server.json", "run/server.sock", "run/token", "data/models/x/manifest.toml", "data/models/x/x.gguf"),
    *("data/models/x/choice.toml", "data/states/a", "data/states/key", "cache/locks", "cache/downloads", "data/models"),
    *("config", "cache", "run", "data/states"),
)
COMMANDS = (
    *(
        "config",
        "config user ann",
        "config mode",
        "models list",
        "models list --json",
        "models verify",
        "models suggest",
    ),
    *("models rm x", "models add {model} --name y", "doctor", "device show", "plan hi --user ann", "stats --user ann"),
    *("history list --user ann", "generate hi --user ann --model x", "generate hi --user ann", "rewrite hi --user ann"),
    *("history doctor", "models find", "history add --user ann --output {number}"),
)
SETTINGS = ("user", "model", "mode", "language", "retention_days", "disk_gb", "formats", "x")
MANIFEST = ("name", "kind", "description", "licence", "prompt_style", "context", "languages", "bases", "uses", "files")
VALUES: tuple[object, ...] = (
    *(
        "",
        " ",
        "x" * 70_000,
        "a\nb",
        "\u202e",
        "\x1b[31m",
        "../../x",
        "/dev/zero",
        "~root",
        "{}",
        "ann",
        "http://127.0.0.1:9",
    ),
    *(0, -1, 1, 10**30, 1e308, True, [], ["x"] * 3000, [[[]]], {}, {"a": {"b": []}}, [{"path": "../x", "size": -1}]),
)
_NUMBERS = (b"retention_days = " + b"9" * 5000, b"user = [0x" + b"F" * 9000 + b"]", b'{"a": ' + b"9" * 5000 + b"}")
"""What Python reads, and neither writes out nor turns into a number."""

_CODES = {*range(10), 130}


def _words(chance: random.Random, name: str) -> bytes:
    """What stands in the file: nonsense, or nearly what belongs there."""
    which = chance.randrange(8)
    if which == 0:
        return chance.randbytes(chance.choice((0, 1, 40, 5000)))
    if which == 1:
        return b"[" * chance.choice((10, 3000, 200_000))
    if which == 2:
        return b'{"a":' * chance.choice((10, 3000, 60_000))
    if which == 3:
        return b"a = " + b"[" * chance.choice((10, 3000, 30_000))
    if which == 4:
        return chance.choice(
            (b"\xff\xfe", b"\xef\xbb\xbf{}", b"null", b"NaN", b"1e999", b"9" * 20_000, b"\0" * 100, *_NUMBERS)
        )
    keys = MANIFEST if "models" in name else SETTINGS
    if name.endswith(".json"):
        keys = ("url", "token", "pid", "version", "socket", "home", *(f"{chance.random()}" for _ in range(2)))
    fields = {key: chance.choice(VALUES) for key in keys if chance.random() < 0.6}
    if name.endswith(".toml"):
        return "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items()).encode("utf-8", "replace")
    return json.dumps(fields if chance.random() < 0.8 else [fields]).encode()


def _place(chance: random.Random, path: Path) -> str:
    """Puts something at `path`; says what."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    form = chance.choice(
        ("file", "file", "file", "file", "folder", "pipe", "link", "device", "loop", "socket", "nowhere")
    )
    if form == "file":
        data = _words(chance, path.name if "models" not in str(path) else f"models/{path.name}")
        path.write_bytes(data)
        return f"{data[:60]!r}"
    if form == "folder":
        path.mkdir()
    elif form == "pipe":
        os.mkfifo(path)
    elif form == "socket" and len(str(path)) < 100:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    else:
        path.symlink_to({"device": "/dev/zero", "loop": path.name, "link": "/etc/passwd"}.get(form, "/nowhere/at/all"))
    return form


@dataclass(frozen=True)
class HomeFiles:
    """Makes such homes."""

    home: Path
    deadline_s: float = 60.0
    budget_bytes: int = 0

    def case(self, chance: random.Random, folder: Path) -> Case:
        """A home with one to three such files, and one command in it."""
        paths = locate(folder / "h")
        with History.open(paths.database) as history:
            history.add(HistoryItem(user_id="ann", input="ask", output="text"))
        model = folder / "tiny.gguf"
        model.write_bytes(b"GGUF")
        told = []
        for name in chance.sample(FILES, chance.choice((1, 1, 2, 3))):
            path = folder / "h" / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                told.append(f"{name}: {_place(chance, path)}")
            except (FileExistsError, NotADirectoryError):  # under a file that was just put there
                continue
        line = chance.choice(COMMANDS).format(model=model, number=chance.random())

        def call() -> object:
            done = command(*line.split(), env={"EDGE_TTP_HOME": str(folder / "h")}, cwd=folder, timeout_s=60)
            said = done.stderr.decode("utf-8", "replace")
            if done.returncode not in _CODES or "Exception ignored" in said:
                raise Fault("wrong", f"exit code {done.returncode}: {said[-200:]}")
            if done.returncode and not (said.strip() or done.stdout.strip()):
                raise Fault("wrong", f"exit code {done.returncode} without a word")
            with History.open(paths.database) as history:
                if not history.count("ann"):
                    raise Fault("wrong", "the text is gone")
            return done.returncode

        return Case(f"{line}; {'; '.join(told)}"[:200], call)


def open(home: Path) -> HomeFiles:
    """The kind."""
    return HomeFiles(home)
