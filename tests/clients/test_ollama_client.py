"""Ollama's own Python client, unchanged, against a real server. Run by `make test-clients`."""

from __future__ import annotations

import pytest
from server.conftest import server, server_home
from server.serving import Running

ollama = pytest.importorskip("ollama", reason="make test-clients installs it")
pytestmark = [pytest.mark.clients, pytest.mark.real]
__all__ = ["server", "server_home"]

BARE = "smollm2-135m-instruct"


def test_it_lists_generates_chats_and_streams(server: Running) -> None:
    client = ollama.Client(host=server.url, headers={"Authorization": f"Bearer {server.token}"})
    assert BARE in [one.model for one in client.list().models]
    few = {"num_predict": 8, "temperature": 0}
    assert client.generate(model=BARE, prompt="Say hello.", options=few).response
    asked = [{"role": "user", "content": "Say hello."}]
    whole = client.chat(model="me", messages=asked, options=few)
    assert whole.message.content
    pieces = list(client.chat(model=BARE, messages=asked, options=few, stream=True))
    assert pieces[-1].done
    assert "".join(one.message.content for one in pieces)
    with pytest.raises(ollama.ResponseError):
        client.chat(model="no-such", messages=asked)
