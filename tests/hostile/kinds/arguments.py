"""Command lines with nonsense in every place: one line and a documented exit code, and the history stays."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.schema import HistoryItem

from ..case import Case, Fault
from ..process import command

COMMANDS = (
    *("history list", "history search", "history add", "history stats", "history export", "history path"),
    *("history retention", "history backup", "history generations", "history doctor", "history imports"),
    *("history import", "history recovery-key", "history unlock", "feedback", "models list", "models verify"),
    *("models remove", "models add", "models use", "plan", "diagnose", "device show", "doctor", "config", "reproduce"),
    *("generate --model", "generate --reward", "generate --n", "generate --deadline", "history", "nonsense", ""),
)
OPTIONS = (
    *(
        "--user",
        "-u",
        "--limit",
        "-n",
        "--kind",
        "--output",
        "-o",
        "--input",
        "-i",
        "--json",
        "--all",
        "--force",
        "--from",
    ),
    *(
        "--map",
        "--git",
        "--before",
        "--item",
        "--all-users",
        "--oldest",
        "--preferences",
        "--strict",
        "--preview",
        "--html",
    ),
    *("--prefer", "--edit", "--accept", "--name", "--score", "--version", "--help", "--", "-", "--no-such-option"),
)
VALUES: tuple[bytes, ...] = (
    *(
        b"",
        b" ",
        b"-",
        b"--",
        b"0",
        b"-1",
        b"1",
        b"99999999999999999999",
        b"1e999",
        b"nan",
        b"\xff\xfe",
        b"\xed\xa0\x80",
    ),
    *(
        "²²²²".encode(),
        "🙂".encode(),
        "\u202e\u0000"[:1].encode(),
        b"x" * 5000,
        b"../" * 300,
        b"/dev/full",
        b"/dev/null",
    ),
    *(
        b"/dev/zero",
        b"~nobody-here/x",
        b"9" * 5000,
        b".",
        b"..",
        b"/",
        b"/proc/self/mem",
        b"%s%n",
        b"$(x)",
        b"a=b",
        b"{}",
        b"[]",
        b"2025-13-45",
        b"last",
    ),
    *(b"\x1b[31mred", b"a\nb", b"ann", b"me", b"HISTORY", b"HISTORY-wal", b"FOLDER", b"output=x", b"jsonl", b"--json"),
)
KEPT = 5
_CODES = {*range(10), 130}


@dataclass(frozen=True)
class Arguments:
    """Makes such command lines."""

    home: Path
    deadline_s: float = 60.0
    budget_bytes: int = 0

    def case(self, chance: random.Random, folder: Path) -> Case:
        """One command line over a small history."""
        database = locate(self.home).database
        words: list[str | bytes] = [*chance.choice(COMMANDS).split()]
        for _ in range(chance.randrange(6)):
            words.append(chance.choice(OPTIONS) if chance.random() < 0.5 else chance.choice(VALUES))
        places = {b"HISTORY": os.fsencode(database), b"HISTORY-wal": os.fsencode(f"{database}-wal")}
        places[b"FOLDER"] = os.fsencode(folder / "new")
        words = [places.get(word, word) if isinstance(word, bytes) else word for word in words]
        with History.open(database) as history:
            for number in range(KEPT):
                history.add(HistoryItem(user_id="ann", input="ask", output=f"text {number}"))

        def call() -> object:
            environment = {"EDGE_TTP_HOME": str(self.home), "COLUMNS": chance.choice(("0", "1", "80", "x"))}
            done = command(*words, stdin=chance.choice(VALUES), env=environment, cwd=folder)
            said = done.stderr.decode("utf-8", "replace")
            if done.returncode not in _CODES or "Exception ignored" in said:
                raise Fault("wrong", f"exit code {done.returncode}: {said[-200:]}")
            with History.open(database) as history:
                if history.count("ann") < KEPT:
                    raise Fault("wrong", f"{history.count('ann')} of {KEPT} texts are left")
            return done.returncode

        shown = b" ".join(word if isinstance(word, bytes) else word.encode() for word in words)
        return Case(shown.decode("ascii", "backslashreplace")[:120], call)


def open(home: Path) -> Arguments:
    """The kind."""
    return Arguments(home)
