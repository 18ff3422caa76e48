"""What a hub or an address says of a file, and how much of it is believed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edge_ttp.errors import DownloadFailed, NotFound
from edge_ttp.registry import Registry
from edge_ttp.registry import remote as module
from edge_ttp.registry.remote import HUB, Remote, hub_address, hub_login, part_key

from .makers import LARGE, POLICY, REPO, SMALL, gguf, sha256
from .server import Server


@pytest.mark.parametrize("status", [401, 403])
def test_a_closed_repository_says_what_opens_it(hubbed: Registry, hub: Server, status: int) -> None:
    hub.statuses[f"/api/models/{REPO}"] = [status]
    with pytest.raises(DownloadFailed, match="set HF_TOKEN"):
        hubbed.pull(f"hf:{REPO}")


def test_the_token_goes_to_the_hub_and_to_nobody_else(
    hubbed: Registry, hub: Server, authority: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    path = f"/{REPO}/resolve/{'a' * 40}/tiny-Q4_K_M.gguf"
    # The same server under another name is another host.
    hub.redirects[path] = f"https://localhost:{hub.port}/cdn/{sha256(SMALL)}?signed=1"
    with pytest.raises(DownloadFailed):  # whose certificate is for 127.0.0.1: nothing is sent there at all
        hubbed.pull(f"hf:{REPO}")
    assert set(hub.authorizations) == {"Bearer hf_secret"}


def test_what_the_hub_says_is_not_believed_blindly(hubbed: Registry, secure: Server) -> None:
    for page in (b"[]", b'{"siblings": 3}', b"{", b'{"siblings": [{"rfilename": "../../x.gguf"}], "sha": "../"}'):
        secure.files[f"/api/models/{REPO}"] = page
        secure.types[f"/api/models/{REPO}"] = "application/json"
        with pytest.raises((DownloadFailed, NotFound)):
            hubbed.pull(f"hf:{REPO}")


def test_an_address_is_resumed_only_while_the_file_is_the_same(hubbed: Registry, secure: Server) -> None:
    path = "/model.gguf"
    secure.files[path] = LARGE
    secure.headers[path] = {"ETag": '"one"'}
    secure.cuts[path] = [10_000] * 4
    with pytest.raises(DownloadFailed):
        hubbed.pull(f"{secure.address}{path}")
    assert any(wanted for _, wanted in secure.requests)
    other = gguf({**POLICY, "general.name": "Other"}, tensors=(("w", (32, 2000)),))
    secure.files[path] = other
    secure.headers[path] = {"ETag": '"two"'}
    assert hubbed.pull(f"{secure.address}{path}").read_bytes() == other


def test_a_mirror_is_named_by_the_environment_and_the_token_goes_to_it_alone() -> None:
    assert hub_address({}) == HUB
    assert hub_address({"HF_ENDPOINT": "https://mirror.example/"}) == "https://mirror.example"
    assert hub_login(HUB, {}) == {}
    assert hub_login(HUB, {"HF_TOKEN": " hf_secret "}) == {"huggingface.co": "Bearer hf_secret"}
    assert hub_login("https://mirror.example", {"HF_TOKEN": "x"}) == {"mirror.example": "Bearer x"}


def test_a_file_grows_under_its_checksum_or_under_its_address_and_version() -> None:
    known = Remote("hf:a/b", "https://h/a", "a.gguf", 5, "1" * 64)
    assert part_key(known) == "1" * 64
    unknown = replace(known, sha256=None, etag='"v1"')
    assert part_key(unknown) == part_key(replace(unknown))
    assert len({part_key(unknown), part_key(replace(unknown, etag='"v2"')), part_key(replace(unknown, size=6))}) == 3


@pytest.mark.parametrize(
    ("about", "licence"),
    [
        ({}, ""),
        ({"cardData": {"license": "mit"}}, "mit"),
        ({"cardData": {"license": "other", "license_name": "Gemma terms"}}, "Gemma terms"),
        ({"cardData": {"license": "other"}}, "other"),
        ({"cardData": "none", "tags": ["gguf", 3, "license:apache-2.0"]}, "apache-2.0"),
        ({"cardData": {"license": "two\nlines\x1b[0m"}, "tags": "none"}, "two lines [0m"),
    ],
)
def test_the_licence_is_what_the_card_says_or_the_tags(about: dict[str, Any], licence: str) -> None:
    assert module._licence(about) == licence
