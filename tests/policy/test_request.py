"""Requests to the engine that cannot be meant."""

from __future__ import annotations

import pytest

from edge_ttp.errors import InvalidInput

from .calls import request


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"prompt": ()}, "no tokens"), ({"n": 0}, "n=0"), ({"max_tokens": 0}, "of 0 tokens")],
)
def test_a_request_that_cannot_be_meant_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        request(**changes)
