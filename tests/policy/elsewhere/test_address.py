"""What an engine's address may look like, and what is said of it."""

from __future__ import annotations

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.elsewhere.address import EngineAddress, engine_key


@pytest.mark.parametrize(
    ("given", "url", "local", "encrypted"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1", True, False),
        ("http://localhost:11434/v1/", "http://localhost:11434/v1", True, False),
        ("https://llm.example.org/api/v1", "https://llm.example.org/api/v1", False, True),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1", True, False),
        ("http://10.0.0.7:8000", "http://10.0.0.7:8000/v1", False, False),
    ],
)
def test_an_address_is_read(given: str, url: str, local: bool, encrypted: bool) -> None:
    assert EngineAddress.of(given) == EngineAddress(url, local, encrypted)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "127.0.0.1:8000",
        "file:///etc/passwd",
        "http://",
        "http://a b/",
        "http://h:99999",
        "http://h/\nX: y",
        "h" * 9999,
    ],
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(InvalidInput, match="write it as http"):
        EngineAddress.of(given)


@pytest.mark.parametrize("given", ["http://me:secret@host/v1", "http://host/v1?key=secret"])
def test_a_login_in_the_address_is_refused_and_not_repeated(given: str) -> None:
    with pytest.raises(InvalidInput, match="EDGE_TTP_POLICY_KEY") as refused:
        EngineAddress.of(given)
    assert "secret" not in str(refused.value)


def test_what_goes_over_a_network_unencrypted_is_said() -> None:
    assert EngineAddress.of("http://10.0.0.7").remark.endswith("sent there, unencrypted")
    assert EngineAddress.of("http://127.0.0.1").remark.endswith("sent there")


def test_the_key_is_read_from_the_environment() -> None:
    assert engine_key({"EDGE_TTP_POLICY_KEY": " abc "}) == "abc"
    assert engine_key({}) is None
