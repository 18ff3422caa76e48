"""`edge-ttp tokens`: shown once, known by name, refused after it was revoked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_ttp.cli.main import run
from edge_ttp.paths import locate
from edge_ttp.server.access import Access


def out(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert run(["tokens", *arguments]) == code
    return capsys.readouterr().out


def test_the_installations_token_is_the_one_a_server_takes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = out(capsys, "show").strip()
    assert token == Access(locate(home)).own()
    assert json.loads(out(capsys, "show", "--json")) == {"token": token}


def test_a_named_token_is_shown_once_and_opens_its_users_history(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["tokens", "list"]) == 0
    assert "there are no further tokens" in capsys.readouterr().err
    assert run(["tokens", "add", "notes"]) == 0
    printed = capsys.readouterr()
    token = printed.out.strip()
    assert "it is not shown again" in printed.err
    told = json.loads(out(capsys, "add", "mailer", "--user", "ann", "--json"))
    assert (told["name"], told["user"]) == ("mailer", "ann")
    assert sorted(out(capsys, "list").splitlines()) == ["mailer\tann", "notes\tnotes"]
    listed = json.loads(out(capsys, "list", "--json"))["tokens"]
    assert {"name": "mailer", "user": "ann"} in listed
    kept = "".join(file.read_text(errors="replace") for file in home.rglob("*") if file.is_file())
    assert token not in kept
    assert told["token"] not in kept


def test_a_revoked_token_is_refused_at_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = out(capsys, "add", "notes").strip()
    access = Access(locate(home))
    assert access.bearer(token) is not None
    assert json.loads(out(capsys, "revoke", "notes", "--json")) == {"revoked": "notes"}
    assert access.bearer(token) is None
    out(capsys, "revoke", "notes", code=8)
