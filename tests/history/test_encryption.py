"""An encrypted history: unreadable without its key, otherwise like any other."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import keyring.errors
import pytest

from edge_ttp.cli.main import run
from edge_ttp.errors import ExtraMissing, HistoryUnavailable, InvalidInput, NotFound
from edge_ttp.history import History, driver
from edge_ttp.history.encryption import decrypt, encrypt
from edge_ttp.paths import locate

from .conftest import new_item
from .test_forgetting import fill, remains


class Keys(dict[tuple[str, str], str]):
    """A keyring that is a dictionary."""

    errors = keyring.errors

    def get_password(self, service: str, name: str) -> str | None:
        return self.get((service, name))

    def set_password(self, service: str, name: str, key: str) -> None:
        self[service, name] = key

    def delete_password(self, service: str, name: str) -> None:
        del self[service, name]


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> Keys:
    found = Keys()
    monkeypatch.setattr(driver, "_keyring", lambda: found)
    return found


def filled(path: Path) -> list[str]:
    with History.open(path) as history:
        for day in range(2):
            fill(history, "ann", day)
        return list(history.records(None, everything=True))


def test_an_encrypted_history_is_read_with_its_key_and_holds_no_text(path: Path, keys: Keys) -> None:
    before = filled(path)
    encrypt(path)
    assert remains(path) == set()
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(keys) == 1
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(path).execute("SELECT * FROM items")
    with History.open(path) as history:
        assert list(history.records(None, everything=True)) == before
        health = history.health(full=True)
        assert (health.problems, health.encrypted, health.journal_mode, health.private) == ((), True, "wal", True)
        assert history.recall("ann", "zeppelin quagmire", 1)[0].score > 0
        history.add(new_item("obelisk again"))
        assert remains(path) == set()  # the log is encrypted too
        history.forget("ann", item_id=history.items("ann", limit=1)[0].id)
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name]


def test_decrypting_gives_the_plain_history_back(path: Path, keys: Keys) -> None:
    before = filled(path)
    encrypt(path)
    decrypt(path)
    assert keys == {}
    assert path.read_bytes().startswith(b"SQLite format 3\0")
    with History.open(path) as history:
        assert list(history.records(None, everything=True)) == before
        assert not history.health(full=True).encrypted


def test_backups_are_encrypted_and_restored_with_the_same_key(path: Path) -> None:
    before = filled(path)
    plain = path.parent / "plain.db"
    with History.open(path) as history:
        history.backup(plain)
    encrypt(path)
    copy = path.parent.parent / "copy.db"
    with History.open(path) as history:
        history.backup(copy)
        assert not driver.is_plain(copy)
        history.forget("ann", everything=True)
        history.restore_backup(copy)
        assert list(history.records(None, everything=True)) == before
        with pytest.raises(HistoryUnavailable, match="not encrypted"):
            history.restore_backup(plain)


def test_without_its_key_it_cannot_be_opened(path: Path, keys: Keys) -> None:
    filled(path)
    encrypt(path)
    data = path.read_bytes()
    (name, key), *_ = keys.items()
    for wrong in (None, "0" * 64, "no key"):
        keys.clear()
        if wrong is not None:
            keys[name] = wrong
        with pytest.raises(HistoryUnavailable, match="key"):
            History.open(path)
    assert path.read_bytes() == data
    keys[name] = key
    with History.open(path) as history:
        assert history.count("ann") == 4


HOLDER = """
import sys
from edge_ttp.history import History
with History.open(sys.argv[1]) as history:
    print(history.count("ann"), flush=True)
    sys.stdin.readline()
"""


@pytest.mark.slow
def test_a_history_in_use_is_left_as_it_is(path: Path, keys: Keys) -> None:
    before = filled(path)
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "4\n"
        with pytest.raises(HistoryUnavailable, match="locked"):
            encrypt(path)
        holder.communicate("\n")
    assert driver.is_plain(path)
    assert keys == {}
    with History.open(path) as history:
        assert list(history.records(None, everything=True)) == before


def test_what_cannot_be_done_is_one_line(path: Path, monkeypatch: pytest.MonkeyPatch, keys: Keys) -> None:
    with pytest.raises(NotFound):
        encrypt(path)
    filled(path)
    with pytest.raises(InvalidInput, match="not encrypted"):
        decrypt(path)
    encrypt(path)
    with pytest.raises(InvalidInput, match="already"):
        encrypt(path)
    decrypt(path)

    def locked(*_: object) -> None:
        raise keyring.errors.KeyringError("no backend")

    monkeypatch.setattr(keys, "set_password", locked, raising=False)
    with pytest.raises(HistoryUnavailable, match="keyring"):
        encrypt(path)
    assert driver.is_plain(path)


def test_without_the_extra_it_says_what_to_install(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path)
    monkeypatch.setitem(sys.modules, "sqlcipher3", None)
    with pytest.raises(ExtraMissing, match="encrypted"):
        encrypt(path)
    assert driver.is_plain(path)


def test_the_commands_encrypt_and_decrypt(capsys: pytest.CaptureFixture[str]) -> None:
    run(["history", "add", "--output", "one"])
    assert run(["history", "encrypt"]) == 0
    assert not driver.is_plain(locate().database)
    capsys.readouterr()
    assert run(["history", "list"]) == 0
    assert "one" in capsys.readouterr().out
    assert run(["history", "decrypt", "--json"]) == 0
    assert driver.is_plain(locate().database)
