"""What is set once for all: the file, what outdoes it, and a file that somebody wrote by hand."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.history.user import default_user
from edge_ttp.paths import Paths, locate
from edge_ttp.system.settings import (
    VARIABLES,
    Settings,
    change_settings,
    read_settings,
    settings_file,
    settings_in_force,
)


@pytest.fixture
def paths(home: Path) -> Paths:
    return locate(home)


def write(paths: Paths, text: str | bytes) -> None:
    paths.config.mkdir(parents=True, exist_ok=True)
    settings_file(paths).write_bytes(text.encode() if isinstance(text, str) else text)


def test_without_a_file_the_defaults_hold_and_nothing_is_written(paths: Paths) -> None:
    assert read_settings(paths) == Settings()
    assert not paths.config.exists()


def test_what_is_set_is_kept_in_a_private_file(paths: Paths) -> None:
    for name, value in (
        ("user", "ann"),
        ("mode", "fast"),
        ("language", "de"),
        ("retention_days", "30d"),
        ("disk_gb", "12"),
    ):
        change_settings(paths, name, value)
    change_settings(paths, "model", 'a \\ "quoted" name.gguf')
    found = Settings("ann", 'a \\ "quoted" name.gguf', "fast", "de", 30, 12)
    assert read_settings(paths) == found
    assert settings_file(paths).stat().st_mode & 0o777 == 0o600
    assert paths.config.stat().st_mode & 0o777 == 0o700
    assert change_settings(paths, "user", None) == Settings(None, *list(vars(found).values())[1:])


def test_a_change_keeps_the_lines_of_a_hand(paths: Paths) -> None:
    write(paths, '# mine\nuser = "ann"  # me\n\n# days\nretention_days = 30\n')
    change_settings(paths, "user", "bob")
    assert settings_file(paths).read_text() == '# mine\n\n# days\nretention_days = 30\nuser = "bob"\n'


def test_the_environment_outdoes_the_file(paths: Paths) -> None:
    change_settings(paths, "mode", "fast")
    change_settings(paths, "user", "ann")
    environment = {VARIABLES["mode"]: "best", VARIABLES["retention_days"]: "7", VARIABLES["user"]: ""}
    assert settings_in_force(paths, environment) == Settings(user="ann", mode="best", retention_days=7)
    with pytest.raises(InvalidInput, match="no mode"):
        settings_in_force(paths, {VARIABLES["mode"]: "hasty"})


def test_the_default_user_is_the_one_set(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_user(paths) == default_user() == "me"
    change_settings(paths, "user", "ann")
    assert default_user(paths) == default_user() == "ann"
    monkeypatch.setenv("EDGE_TTP_USER", "bob")
    assert default_user(paths) == "bob"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("colour", "blue"),
        ("mode", "hasty"),
        ("language", "german"),
        ("language", "DE"),
        ("retention_days", "0"),
        ("retention_days", "-3"),
        ("retention_days", "1e9"),
        ("retention_days", "99999999999999999999"),
        ("disk_gb", "0"),
        ("disk_gb", "1.5"),
        ("disk_gb", "10001"),
        ("formats", "fast"),
        ("user", " "),
        ("user", "a\nb"),
        ("model", "x" * 5000),
    ],
)
def test_what_cannot_be_set_changes_nothing(paths: Paths, name: str, value: str) -> None:
    change_settings(paths, "user", "ann")
    with pytest.raises(InvalidInput):
        change_settings(paths, name, value)
    assert read_settings(paths) == Settings(user="ann")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("user = ", "are no TOML"),
        ("user = " + "[" * 30_000, "are no TOML"),
        ('colour = "blue"', "no setting 'colour'"),
        ("user = 3", "is no text"),
        pytest.param("retention_days = " + "9" * 5000, "are no TOML", id="digits"),
        pytest.param("retention_days = 0x" + "F" * 9000, "many digits.* is no number of days", id="hexadecimal"),
        pytest.param("disk_gb = 0x" + "F" * 9000, "many digits.* is no number of GB", id="hexadecimal GB"),
        pytest.param("user = [0x" + "F" * 9000 + "]", "many digits.* is no text", id="digits in a list"),
        ("retention_days = true", "is no number of days"),
        ('mode = "hasty"', "is no mode"),
        (b"\xff\xfe", "not UTF-8"),
        ("#" * 70_000, "too long"),
        ("[table]\nuser = 3", "no setting 'table'"),
    ],
)
def test_a_file_that_says_nothing_usable_is_one_clear_error_and_stays(
    paths: Paths, text: str | bytes, words: str
) -> None:
    write(paths, text)
    before = settings_file(paths).read_bytes()
    with pytest.raises(InvalidInput, match=words) as raised:
        read_settings(paths)
    assert "\n" not in str(raised.value)
    with pytest.raises(InvalidInput):
        change_settings(paths, "language", "de")
    assert settings_file(paths).read_bytes() == before


def test_a_mark_at_the_start_of_the_file_is_no_error(paths: Paths) -> None:
    write(paths, b'\xef\xbb\xbfuser = "ann"\r\n')
    assert read_settings(paths).user == "ann"


def test_a_folder_that_cannot_be_made_is_one_clear_error(paths: Paths) -> None:
    paths.config.parent.mkdir(parents=True)
    paths.config.write_text("a file where the folder should be")
    with pytest.raises(InvalidInput, match="cannot"):
        change_settings(paths, "user", "ann")


def test_a_full_disk_asks_for_room_not_for_rights(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InvalidInput, match="No space left on device; free some space"):
        change_settings(paths, "user", "ann")
    assert os.listdir(paths.config) == []


def test_a_pipe_in_the_place_of_the_file_is_an_error_and_no_wait(paths: Paths) -> None:
    paths.config.mkdir(parents=True)
    os.mkfifo(settings_file(paths))
    with pytest.raises(InvalidInput, match="not a regular file"):
        read_settings(paths)


def test_gigabytes_and_formats_are_settings_too(paths: Paths) -> None:
    change_settings(paths, "disk_gb", "12")
    assert change_settings(paths, "formats", "off") == Settings(disk_gb=12, formats="off")
    assert settings_in_force(paths, {VARIABLES["formats"]: "auto"}).formats == "auto"
