"""The SQLite that a file is opened with: keys from the environment or the keyring, and what is no key."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

from edge_ttp.errors import ExtraMissing, HistoryUnavailable, InvalidInput
from edge_ttp.history import driver

KEY = "0123456789abcdef" * 4


class Keyring(ModuleType):
    """A keyring in memory; it may be locked."""

    def __init__(self) -> None:
        super().__init__("keyring")
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def _look(self) -> None:
        if self.locked:
            raise RuntimeError("the keyring is locked")

    def get_password(self, service: str, name: str) -> str | None:
        self._look()
        return self.kept.get((service, name))

    def set_password(self, service: str, name: str, key: str) -> None:
        self._look()
        self.kept[service, name] = key

    def delete_password(self, service: str, name: str) -> None:
        self._look()
        del self.kept[service, name]


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Keyring:
    made = Keyring()
    monkeypatch.delenv(driver.KEY_VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "keyring", made)
    monkeypatch.setitem(sys.modules, "keyring.errors", ModuleType("keyring.errors"))
    return made


def test_a_recovery_key_is_read_in_whatever_groups_and_case() -> None:
    grouped = "-".join(KEY[at : at + 8].upper() for at in range(0, 64, 8))
    assert driver.key_from(f"  {grouped}\n") == driver.key_from(KEY) == KEY
    for wrong in ("", KEY[:-1], KEY + "0", "g" + KEY[1:], "é" + KEY[1:]):
        with pytest.raises(InvalidInput, match="no recovery key"):
            driver.key_from(wrong)


def test_new_keys_are_keys_and_no_two_are_alike() -> None:
    keys = {driver.new_key() for _ in range(20)}
    assert len(keys) == 20
    assert {driver.key_from(key) for key in keys} == keys


def test_the_environments_key_comes_before_the_keyrings(
    keyring: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.db"
    assert driver.key_of(path) is None
    driver.keep_key(path, KEY)
    assert driver.key_of(path) == KEY
    assert driver.key_of(tmp_path / "other.db") is None
    monkeypatch.setenv(driver.KEY_VARIABLE, "f" * 64)
    assert driver.key_of(path) == "f" * 64
    monkeypatch.setenv(driver.KEY_VARIABLE, "no key")
    with pytest.raises(InvalidInput):
        driver.key_of(path)
    driver.keep_key(path, None)
    driver.keep_key(path, None)  # it is gone already
    assert keyring.kept == {}


def test_a_locked_keyring_has_no_key_and_takes_none(keyring: Keyring, tmp_path: Path) -> None:
    keyring.locked = True
    assert driver.kept_key(tmp_path / "history.db") is None
    with pytest.raises(HistoryUnavailable, match="the keyring cannot be used"):
        driver.keep_key(tmp_path / "history.db", KEY)


def test_a_key_of_another_program_is_never_put_into_a_statement() -> None:
    assert driver.checked_key(KEY) == KEY
    for wrong in ('"; DROP TABLE items; --', KEY.upper(), ""):
        with pytest.raises(HistoryUnavailable, match="none of this program's"):
            driver.checked_key(wrong)


def test_a_plain_file_an_empty_one_and_none_are_plain(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    assert driver.is_plain(path)
    path.write_bytes(b"")
    assert driver.is_plain(path)
    with closing(driver.connect(f"{path.as_uri()}?mode=rw", None)) as db:
        db.execute("CREATE TABLE t (a)")
    assert driver.is_plain(path)
    path.write_bytes(bytes(range(256)) * 40)
    assert not driver.is_plain(path)


def test_an_encrypted_file_is_not_plain_and_opens_with_its_key_alone(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with closing(driver.connect(f"{path.as_uri()}?mode=rwc", KEY, isolation_level=None)) as db:
        db.execute("CREATE TABLE t (a)")
    assert not driver.is_plain(path)
    with closing(driver.connect(f"{path.as_uri()}?mode=rw", KEY)) as db:
        assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)
    with closing(driver.connect(f"{path.as_uri()}?mode=rw", "f" * 64)) as db, pytest.raises(driver.error_types()):
        db.execute("SELECT count(*) FROM t")
    assert sqlite3.Error in driver.error_types()


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "sqlcipher3", None)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ExtraMissing, match="needs SQLCipher") as raised:
        driver.cipher()
    assert "edge-ttp[encrypted]" in raised.value.cure
    with pytest.raises(ExtraMissing, match="kept in the keyring"):
        driver.keep_key(tmp_path / "history.db", KEY)
    assert driver.kept_key(tmp_path / "history.db") is None
