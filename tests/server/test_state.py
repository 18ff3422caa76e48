"""What is under way, and who asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from starlette.requests import Request

from edge_ttp.aio import AsyncRuntime
from edge_ttp.paths import locate
from edge_ttp.server.access import Access, Bearer
from edge_ttp.server.replies import Full
from edge_ttp.server.state import State


def state(home: Path, **options: Any) -> State:
    return State(cast(AsyncRuntime, None), Access(locate(home)), **options)


def request(authorization: str | None = None) -> Request:
    headers = [] if authorization is None else [(b"authorization", authorization.encode("latin-1"))]
    return Request({"type": "http", "headers": headers})


def test_one_too_many_is_refused_and_a_failed_request_makes_room(home: Path) -> None:
    made = state(home, most=2)
    with made.drawing():
        with pytest.raises(ZeroDivisionError), made.drawing():
            raise ZeroDivisionError
        with made.drawing():
            assert made.running == 2
            with pytest.raises(Full), made.drawing():
                pytest.fail("it is full")
            assert made.running == 2
    assert made.running == 0


def test_a_token_says_who_asks(home: Path) -> None:
    made = state(home)
    own, other = made.access.own(), made.access.add("notes", "ann")
    bearer = made.bearer(request(f"Bearer {own}"))
    assert bearer is not None
    assert (bearer.user, bearer.name) == ("me", "own")
    for header in (f"Bearer {other}", f"bearer  {other} "):
        bearer = made.bearer(request(header))
        assert bearer is not None
        assert (bearer.user, bearer.name) == ("ann", "notes")
    for header in (None, "", own, f"Basic {own}", "Bearer", "Bearer x", f"Bearer {own} more"):
        assert made.bearer(request(header)) is None, header


def test_who_comes_by_the_owners_socket_is_the_owner_and_may_name_anybody(home: Path) -> None:
    bearer = state(home, owner_socket=True).bearer(request())
    assert bearer == Bearer("owner", "me", exact=True)
    assert bearer is not None
    assert bearer.user_for("ann") == "ann"


def test_every_start_has_a_name_of_its_own(home: Path) -> None:
    assert state(home).instance != state(home).instance
