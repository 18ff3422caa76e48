"""Complaints about a request's fields: one line, with what to send instead."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_ttp.server.complaints import explained


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    n: int = Field(default=1, ge=1, le=8)
    text: str = Field(default="a", max_length=3)
    rule: Literal["mean", "lcb"] = "mean"
    names: list[str] = []


@pytest.mark.parametrize(
    ("given", "cure"),
    [
        ({"n": 0}, "send at least 1"),
        ({"n": 9}, "send at most 8"),
        ({"n": "many"}, "send n as a whole number"),
        ({"text": 7}, "send text as a text"),
        ({"text": "long"}, "send at most 3 of them"),
        ({"rule": "best"}, "send 'mean' or 'lcb'"),
        ({"names": "Ann"}, "send names as a list"),
        ({"more": 1}, "leave out more; /ttp/v1/openapi.json lists what there is"),
    ],
)
def test_a_complaint_says_what_to_send(given: dict[str, Any], cure: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        Body.model_validate(given)
    assert explained(wrong.value).cure == cure
