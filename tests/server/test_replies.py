"""Errors over HTTP: a status for each kind, a body in the shape of the path's clients, when to come again."""

from __future__ import annotations

import json

import pytest

from edge_ttp import errors
from edge_ttp.errors import EdgeTTPError, InvalidInput, ModelUnavailable, NotFound, OutOfCapacity
from edge_ttp.server.replies import STATUS, Full, Refusal, is_openai, refusal_of

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EdgeTTPError)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not EdgeTTPError])
def test_every_kind_of_error_has_a_status(kind: type[EdgeTTPError]) -> None:
    refusal = refusal_of(kind("a fact", "a cure"))
    assert refusal.status == next(status for known, status in STATUS.items() if issubclass(kind, known))
    assert (refusal.code, refusal.exit_code, refusal.fact, refusal.cure) == (
        kind.code,
        kind.exit_code,
        "a fact",
        "a cure",
    )


def test_an_error_of_no_known_kind_is_our_fault() -> None:
    assert refusal_of(EdgeTTPError("odd")).status == 500


def test_each_path_has_the_shape_of_its_clients() -> None:
    refusal = refusal_of(InvalidInput("n is 0", "send 1 or more"))
    assert refusal.body("/ttp/v1/generate") == {
        "error": {"code": "invalid_input", "message": "n is 0", "cure": "send 1 or more", "exit_code": 2}
    }
    openai = refusal.body("/v1/chat/completions")["error"]
    assert openai == {
        "message": "n is 0; send 1 or more", "type": "invalid_request_error", "param": None,
        "code": "invalid_input", "cure": "send 1 or more", "exit_code": 2,
    }  # fmt: skip
    assert refusal.body("/api/chat")["error"] == "n is 0; send 1 or more"  # a text for Ollama's clients
    assert [is_openai(path) for path in ("/v1/models", "/v1", "/ttp/v1/models")] == [True, False, False]


def test_openais_own_names_are_used_where_they_have_one() -> None:
    def named(refusal: Refusal) -> tuple[str, str]:
        error = refusal.body("/v1/x")["error"]
        return error["type"], error["code"]

    assert named(refusal_of(OutOfCapacity("too long"))) == ("invalid_request_error", "context_length_exceeded")
    assert named(refusal_of(ModelUnavailable("gone"))) == ("server_error", "model_unavailable")
    assert named(Refusal(401, "no_token", "none", "send one")) == ("authentication_error", "no_token")


@pytest.mark.parametrize(
    ("error", "status", "seconds"),
    [(Full(), 429, "1"), (ModelUnavailable("loading"), 503, "2"), (NotFound("none"), 404, None)],
)
def test_what_another_try_may_mend_says_when(error: EdgeTTPError, status: int, seconds: str | None) -> None:
    answer = refusal_of(error).answer("/ttp/v1/generate")
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, seconds)
    assert json.loads(bytes(answer.body))["error"]["message"] == error.fact
