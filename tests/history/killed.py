"""A process that does one thing over and over, says what was done, and is killed while it does.

Usage: killed.py WHAT FOLDER. `ready` is printed once, then a line after every call that returned.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from edge_ttp.cli.main import run
from edge_ttp.history import History, driver
from edge_ttp.history.encryption import decrypt, encrypt
from edge_ttp.history.learned_rows import Layer, StoredEvidence
from edge_ttp.paths import locate
from edge_ttp.runtime import Runtime
from edge_ttp.schema import Candidate, Feedback, HistoryItem


class FileKeys:
    """A keyring that is a file, written whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _all(self) -> dict[str, str]:
        return json.loads(self._path.read_text()) if self._path.exists() else {}

    def _keep(self, keys: dict[str, str]) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(keys))
        new.replace(self._path)

    def get_password(self, service: str, name: str) -> str | None:
        return self._all().get(name)

    def set_password(self, service: str, name: str, key: str) -> None:
        self._keep({**self._all(), name: key})

    def delete_password(self, service: str, name: str) -> None:
        self._keep({other: key for other, key in self._all().items() if other != name})


def say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def generate(folder: Path) -> None:
    with Runtime.open(home=folder) as runtime:
        runtime.generate("hello", user="ann", n=1, select="first", store=False)
        say("ready")
        while True:
            say(runtime.generate("hello", user="ann", n=2, select="consensus").generation_id)


def import_(folder: Path) -> None:
    say("ready")
    while True:
        code = run(["history", "import", str(folder / "lines.jsonl"), "--user", "ann"])
        say(f"imported {code}")


def adapt(folder: Path) -> None:
    with History.open(locate(folder).database) as history:
        say("ready")
        utility = np.array([0.1, 0.9])
        evidence = StoredEvidence("written", Layer("r1", np.eye(2, 3), np.full(2, 0.5)), 1000, utility)
        drawn = [Candidate(text=text, tokens=2, logprob=-1.0) for text in ("one", "two")]
        for item in history.items("ann", newest_first=False):
            history.calibrate(item, "tiny", drawn, evidence)
            say(item.id)


def forget(folder: Path) -> None:
    with History.open(locate(folder).database) as history:
        say("ready")
        for user in history.users():
            history.forget(user, everything=True)
            say(user)


def restore(folder: Path) -> None:
    with History.open(locate(folder).database) as history:
        say("ready")
        while True:
            for name in ("one", "two"):
                history.restore_backup(folder / f"{name}.backup")
                say(name)


def crypt(folder: Path) -> None:
    database = locate(folder).database
    say("ready")
    while True:
        turn = encrypt if driver.is_plain(database) else decrypt
        turn(database)
        say(turn.__name__)


def feedback(folder: Path) -> None:
    with History.open(locate(folder).database) as history:
        names = [one.generation_id for one in history.generations("ann")]
        say("ready")
        number = 0
        while True:
            for name in names:
                number += 1
                text = f"edit {number}"
                history.add_feedback(Feedback(generation_id=name, user_id="ann", kind="edit", candidate=1, text=text))
                say(f"{name} {text}")


def add(folder: Path) -> None:
    with History.open(locate(folder).database) as history:
        say("ready")
        number = 0
        while True:
            number += 1
            say(history.add(HistoryItem(user_id="ann", input="", output=f"text {number}")).id)


DOES = {
    "generate": generate,
    "import": import_,
    "adapt": adapt,
    "forget": forget,
    "restore": restore,
    "encrypt": crypt,
    "feedback": feedback,
    "add": add,
}

if __name__ == "__main__":
    driver._keyring = lambda: FileKeys(Path(sys.argv[2]) / "keys.json")
    DOES[sys.argv[1]](Path(sys.argv[2]))
