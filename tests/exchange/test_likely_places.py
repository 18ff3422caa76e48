"""Places where writing lies: found by name, bounded, nothing read."""

from __future__ import annotations

from pathlib import Path

from edge_ttp.exchange.likely_places import MOST, likely_places


def test_places_are_found_by_their_names_mail_first(tmp_path: Path) -> None:
    for folder in ("Maildir/.Sent/cur", "code/.git", "vault/.obsidian", ".thunderbird/p/ImapMail/host"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / ".thunderbird/p/ImapMail/host/Sent-1").write_text("")
    (tmp_path / ".thunderbird/p/ImapMail/host/Sent-1.msf").write_text("")
    (tmp_path / "Downloads").mkdir()
    (tmp_path / "Downloads/ChatGPT-export.zip").write_bytes(b"")
    found = [(one.sort, str(one.path.relative_to(tmp_path)), one.git) for one in likely_places(tmp_path)]
    assert found == [
        ("mail", ".thunderbird/p/ImapMail/host/Sent-1", False),
        ("mail", "Maildir/.Sent", False),
        ("conversations", "Downloads/ChatGPT-export.zip", False),
        ("notes", "vault", False),
        ("git", "code", True),
    ]


def test_links_are_passed_over_and_a_sort_is_bounded(tmp_path: Path) -> None:
    for number in range(MOST + 3):
        (tmp_path / f"p{number}/.git").mkdir(parents=True)
    (tmp_path / "Notes").symlink_to("/etc")
    found = likely_places(tmp_path)
    assert [one.sort for one in found] == ["git"] * MOST


def test_an_empty_or_missing_home_has_none(tmp_path: Path) -> None:
    assert likely_places(tmp_path) == []
    assert likely_places(tmp_path / "nobody") == []
