from __future__ import annotations

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.history.user import MAX_USER, default_user, valid_user


def test_the_default_user_is_me_unless_the_environment_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_user() == "me"
    monkeypatch.setenv("EDGE_TTP_USER", "")
    assert default_user() == "me"
    monkeypatch.setenv("EDGE_TTP_USER", "zoë@example.org")
    assert default_user() == "zoë@example.org"


@pytest.mark.parametrize("user", ["", "  ", "a\nb", "a\0", "\x1b[31m", "\ud800", "a" * (MAX_USER + 1)])
def test_unusable_user_ids_are_refused_in_one_printable_line(user: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        valid_user(user)
    assert str(caught.value).isprintable()


def test_an_unusable_user_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_TTP_USER", "a\tb")
    with pytest.raises(InvalidInput, match="control characters"):
        default_user()


def test_long_and_foreign_user_ids_are_taken_as_they_are() -> None:
    assert valid_user("ü" * MAX_USER) == "ü" * MAX_USER
