"""An encrypted history: unreadable without its key, otherwise like any other."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import keyring.errors
import pytest

from edge_ttp.cli.main import run
from edge_ttp.errors import ExtraMissing, HistoryUnavailable, InvalidInput, NotFound
from edge_ttp.history import History, driver, migrations
from edge_ttp.history.encryption import decrypt, encrypt, recovery_key, unlock
from edge_ttp.history.read_states import states_of
from edge_ttp.history.repair import repair
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
    states = states_of(path, "ada") / "one.state"
    states.parent.mkdir(parents=True)
    states.write_bytes(b"plain")
    encrypt(path)
    assert not states.exists()  # it was not encrypted
    assert remains(path) == set()
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(keys) == 1
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(path).execute("SELECT * FROM items")
    with History.open(path) as history:
        assert list(history.records(None, everything=True)) == before
        health = history.health(full=True)
        assert history.states_folder("ada") is None
        assert (health.problems, health.encrypted, health.journal_mode, health.private) == ((), True, "wal", True)
        assert history.recall("ann", "zeppelin quagmire", 1)[0].score > 0
        history.add(new_item("obelisk again"))
        assert remains(path) == set()  # the log is encrypted too
        history.forget("ann", item_id=history.items("ann", limit=1)[0].id)
    assert {file.name for file in path.parent.iterdir()} == {path.name, ".history.db.lock"}


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


class Forgetful(Keys):
    """A keyring that takes every key and keeps none, as keyring.backends.null does."""

    def set_password(self, service: str, name: str, key: str) -> None:
        pass


class Garbling(Keys):
    """A keyring that gives back something else."""

    def get_password(self, service: str, name: str) -> str | None:
        key = super().get_password(service, name)
        return None if key is None else key[::-1]


class Breaking(Keys):
    """A keyring whose backend raises what it likes."""

    def set_password(self, service: str, name: str, key: str) -> None:
        raise RuntimeError("no bus")


@pytest.mark.parametrize("sort", [Forgetful, Garbling, Breaking])
def test_a_keyring_that_does_not_keep_the_key_changes_nothing(
    path: Path, sort: type[Keys], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = filled(path)
    kept = sort()
    monkeypatch.setattr(driver, "_keyring", lambda: kept)
    with pytest.raises(HistoryUnavailable, match="keyring"):
        encrypt(path)
    assert driver.is_plain(path)
    with History.open(path) as history:
        assert list(history.records(None, everything=True)) == before
    assert [name for name in os.listdir(path.parent) if name.startswith(".")] == [".history.db.lock"]


def test_keyrings_own_null_backend_loses_nothing(home: Path) -> None:
    run(["history", "add", "--output", "one"])
    done = subprocess.run(
        [sys.executable, "-m", "edge_ttp", "history", "encrypt"],
        env={**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == HistoryUnavailable.exit_code
    assert done.stderr.startswith("edge-ttp: the keyring does not keep the key")
    assert done.stderr.count("\n") == 1
    with History.open(locate().database) as history:
        assert [item.output for item in history.items("me")] == ["one"]


def test_a_copy_that_cannot_be_opened_with_the_key_does_not_take_the_place(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = filled(path)
    connect = driver.connect

    def other(address: str, key: str | None, **options: object) -> sqlite3.Connection:
        return connect(address, "0" * 64 if ".new" in address and key else key, **options)

    with monkeypatch.context() as patch:
        patch.setattr(driver, "connect", other)
        with pytest.raises(HistoryUnavailable):
            encrypt(path)
    assert driver.is_plain(path)
    with History.open(path) as history:
        assert list(history.records(None, everything=True)) == before


def test_the_recovery_key_opens_the_history_without_the_keyring(
    path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = filled(path)
    key = encrypt(path)
    assert recovery_key(path) == key
    keys.clear()
    with pytest.raises(HistoryUnavailable):
        History.open(path)
    with pytest.raises(InvalidInput, match="no recovery key"):
        unlock(path, "abc")
    with pytest.raises(HistoryUnavailable, match="not the key of"):
        unlock(path, "0" * 64)
    assert keys == {}
    with monkeypatch.context() as patch:
        patch.setenv(driver.KEY_VARIABLE, key.upper())
        with History.open(path) as history:
            assert list(history.records(None, everything=True)) == before
        patch.setenv(driver.KEY_VARIABLE, "nonsense")
        with pytest.raises(InvalidInput, match="no recovery key"):
            History.open(path)
    unlock(path, f" {key} \n")
    with History.open(path) as history:
        assert list(history.records(None, everything=True)) == before


def test_the_commands_print_the_recovery_key_and_unlock_with_it(
    keys: Keys, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(["history", "add", "--output", "one"])
    capsys.readouterr()
    assert run(["history", "encrypt", "--recovery-key"]) == 0
    key = capsys.readouterr().out.splitlines()[-1]
    assert run(["history", "recovery-key", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"recovery_key": key}
    keys.clear()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(key.encode())))
    assert run(["history", "unlock"]) == 0
    assert len(keys) == 1
    assert run(["history", "list"]) == 0


def test_an_encrypted_history_is_repaired_and_keeps_its_key(path: Path) -> None:
    before = filled(path)
    encrypt(path)
    assert repair(path).damaged == ()
    assert not driver.is_plain(path)
    with History.open(path) as history:
        assert list(history.records(None, everything=True)) == before


def test_a_history_of_an_older_version_is_encrypted_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "STEPS", migrations.STEPS[:3])
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            migrations.migrate(db)
    encrypt(path)
    with History.open(path) as history:
        history.add(new_item("one"))
        assert history.health(full=True).problems == ()
