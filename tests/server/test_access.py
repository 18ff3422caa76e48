"""Tokens: whose they are, and that nobody sees another's user."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edge_ttp.errors import HistoryUnavailable, InvalidInput, NotFound
from edge_ttp.paths import locate
from edge_ttp.server.access import NAMED_FILE, OWN_FILE, Access, Bearer


@pytest.fixture
def access(home: Path) -> Access:
    return Access(locate())


def test_the_own_token_is_made_once_and_is_private(access: Access) -> None:
    token = access.own()
    assert access.own() == token
    assert len(token) > 32
    path = locate().config / OWN_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert access.bearer(token) == Bearer("own", "me")


def test_a_token_that_a_backup_left_open_is_closed_again(access: Access) -> None:
    token = access.own()
    path = locate().config / OWN_FILE
    path.chmod(0o644)
    assert access.own() == token
    assert path.stat().st_mode & 0o777 == 0o600


def test_nobody_is_known_by_another_token(access: Access) -> None:
    access.own()
    for token in (None, "", "x", access.own() + "x", access.own()[:-1], "\ud800", "é"):
        assert access.bearer(token) is None


def test_a_named_token_opens_its_own_user_and_is_kept_as_a_hash(access: Access) -> None:
    token = access.add("mail", "ada")
    bearer = access.bearer(token)
    assert bearer == Bearer("mail", "ada")
    kept = (locate().config / NAMED_FILE).read_text()
    assert token not in kept
    assert os.stat(locate().config / NAMED_FILE).st_mode & 0o777 == 0o600


def test_a_sub_user_is_below_the_tokens_user_and_never_another_one() -> None:
    bearer = Bearer("mail", "ada")
    assert bearer.user_for(None) == "ada"
    assert bearer.user_for("") == "ada"
    assert bearer.user_for("bob") == "ada/bob"
    assert bearer.user_for("../me") == "ada/../me"
    assert bearer.owns("ada/bob")
    assert not bearer.owns("adam")
    assert not bearer.owns("bob")
    with pytest.raises(InvalidInput):
        bearer.user_for("x" * 300)
    with pytest.raises(InvalidInput):
        bearer.user_for("a\nb")


def test_tokens_whose_users_would_see_each_other_are_not_made(access: Access) -> None:
    access.add("mail", "ada")
    for user in ("ada/bob", "me/ada"):
        with pytest.raises(InvalidInput):
            access.add("other", user)
    with pytest.raises(InvalidInput):
        access.add("mail", "bob")
    access.add("second", "ada")  # two programs of one person


def test_a_revoked_token_is_refused_at_once(access: Access) -> None:
    token = access.add("mail", "ada")
    access.revoke("mail")
    assert access.bearer(token) is None
    with pytest.raises(NotFound):
        access.revoke("mail")


@pytest.mark.parametrize("text", ["{", "[1]", '[{"name": "a"}]', "[" * 100_000, '[{"name":"a","user":"","sha256":""}]'])
def test_a_damaged_file_is_said_in_one_line(access: Access, text: str) -> None:
    access.add("mail", "ada")
    (locate().config / NAMED_FILE).write_text(text)
    with pytest.raises(HistoryUnavailable):
        access.named()


def test_tokens_that_cannot_be_written_name_the_cure(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(source: object, target: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "a file")

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(HistoryUnavailable, match=r"cannot be kept \(Permission denied\); make its folder writable"):
        access.add("mail", "ada")
    with pytest.raises(HistoryUnavailable, match=r"the token cannot be kept \(Permission denied\); make its folder"):
        access.own()
