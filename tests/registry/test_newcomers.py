"""Models pulled from a hub, from any address and as offers: real https to a server on this machine."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest

from edge_ttp.errors import Cancelled, DownloadFailed, InvalidInput, ModelUnavailable, NotFound
from edge_ttp.paths import Paths
from edge_ttp.registry import Registry
from edge_ttp.registry.manifest import Address

from .makers import FILES, LARGE, REPO, SMALL, sha256
from .server import Server


def test_a_model_of_the_hub_has_its_size_licence_and_checksum_from_there(
    hubbed: Registry, hub: Server, paths: Paths, untried: list[str]
) -> None:
    notes: list[str] = []
    path = hubbed.pull(f"hf:{REPO}:Q8_0", note=notes.append)
    assert path == paths.models / "tiny-q8_0" / "tiny-Q8_0.gguf"
    assert path.read_bytes() == LARGE
    assert path.stat().st_mode & 0o777 == 0o600
    manifest = hubbed.manifest("tiny-q8_0")
    assert (manifest.licence, manifest.sha256, manifest.size) == ("apache-2.0", sha256(LARGE), len(LARGE))
    assert manifest.derivable
    assert manifest.recipe == {"source": f"hf:{REPO}:Q8_0", "revision": "a" * 40}
    [source] = manifest.files[0].sources
    assert isinstance(source, Address)
    assert source.url == f"{hub.address}/{REPO}/resolve/{'a' * 40}/tiny-Q8_0.gguf"
    assert notes == ["tiny-q8_0: tiny-Q8_0.gguf, 0 MB, licence apache-2.0, its SHA-256 is known"]
    assert hubbed.locate("tiny-q8_0", kind="policy").prompt_style == "chat"
    assert not [*(paths.cache / "downloads").iterdir()]
    assert len(untried) == 1  # it was tried like every file from outside


@pytest.mark.parametrize(
    ("pick", "name"),
    [("", "tiny-q4_k_m"), (":q4_k_m", "tiny-q4_k_m"), (":tiny-Q8_0.gguf", "tiny-q8_0")],
)
def test_a_file_is_named_by_quantization_or_name_or_not_at_all(
    hubbed: Registry, hub: Server, pick: str, name: str
) -> None:
    assert hubbed.pull(f"hf:{REPO}{pick}").parent.name == name


def test_what_is_there_already_is_not_fetched_again(hubbed: Registry, hub: Server) -> None:
    first = hubbed.pull(f"hf:{REPO}")
    sent = sum(hub.sent.values())
    assert hubbed.pull(f"hf:{REPO}") == first
    assert hubbed.pull(f"hf:{REPO}:Q4_K_M") == first
    assert sum(hub.sent.values()) - sent < len(SMALL) + 2000  # the repository's page alone, twice
    assert hub.gets(f"/{REPO}/resolve/{'a' * 40}/tiny-Q4_K_M.gguf") == 1


def test_a_damaged_model_is_mended_by_its_name_alone(hubbed: Registry, hub: Server) -> None:
    path = hubbed.pull(f"hf:{REPO}", as_name="mine")
    path.write_bytes(b"damaged")
    with pytest.raises(ModelUnavailable, match="models pull mine"):
        hubbed.locate("mine")
    assert hubbed.pull("mine").read_bytes() == SMALL


def test_an_interrupted_pull_goes_on(hubbed: Registry, hub: Server, paths: Paths) -> None:
    cancel = Event()

    def stop_midway(done: int, total: int) -> None:
        assert total == len(LARGE)
        if done > len(LARGE) // 2:
            cancel.set()

    with pytest.raises(Cancelled, match=r"models pull hf:owner/Tiny-GGUF:Q8_0"):
        hubbed.pull(f"hf:{REPO}:Q8_0", progress=stop_midway, cancel=cancel)
    assert not (paths.models / "tiny-q8_0").exists()
    assert hubbed.pull(f"hf:{REPO}:Q8_0").read_bytes() == LARGE
    ranges = [wanted for path, wanted in hub.requests if path.startswith("/cdn/") and wanted]
    assert len(ranges) == 1


def test_other_bytes_than_the_hub_announced_are_refused(hubbed: Registry, hub: Server, paths: Paths) -> None:
    hub.files[f"/cdn/{sha256(SMALL)}?signed=1"] = SMALL[:-1] + b"?"
    with pytest.raises(DownloadFailed, match="SHA-256 differs"):
        hubbed.pull(f"hf:{REPO}")
    assert not (paths.models / "tiny-q4_k_m").exists()


def test_without_the_hubs_checksum_what_arrives_is_kept(hubbed: Registry, secure: Server) -> None:
    secure.add_repository(REPO, FILES, linked=False)
    notes: list[str] = []
    assert hubbed.pull(f"hf:{REPO}", note=notes.append).read_bytes() == SMALL
    assert hubbed.manifest("tiny-q4_k_m").sha256 == sha256(SMALL)
    assert "its SHA-256 is taken from what arrives" in notes[0]


@pytest.mark.parametrize(
    ("reference", "error", "words"),
    [
        ("hf:nobody/nothing", NotFound, "the hub has no repository 'nobody/nothing'"),
        (f"hf:{REPO}:Q2_K", NotFound, "there are Q4_K_M, Q8_0"),
        (f"hf:{REPO}:Q4_K", NotFound, "has no such file"),
        (f"hf:{REPO}:mmproj-tiny-F16.gguf", NotFound, "has no such file"),
        ("hf:onlyone", InvalidInput, "names no repository"),
        ("hf:../../etc", InvalidInput, "names no repository"),
        ("hf:a/b/c", InvalidInput, "names no repository"),
        ("http://example.com/x.gguf", InvalidInput, "only https"),
        ("ftp://example.com/x.gguf", InvalidInput, "only https"),
        ("https:///x.gguf", InvalidInput, "only https"),
    ],
)
def test_what_cannot_be_pulled_is_one_clear_error(
    hubbed: Registry, hub: Server, paths: Paths, reference: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        hubbed.pull(reference)
    assert not paths.models.exists()


def test_a_model_in_parts_is_refused(hubbed: Registry, secure: Server) -> None:
    secure.add_repository(REPO, {f"big-Q4_K_M-0000{n}-of-00002.gguf": SMALL for n in (1, 2)})
    with pytest.raises(NotFound, match="several parts"):
        hubbed.pull(f"hf:{REPO}")


# Any address


def test_any_https_address_of_a_gguf_file(hubbed: Registry, secure: Server) -> None:
    secure.files["/models/some%20model.Q4_0.gguf?download=true"] = SMALL
    url = f"{secure.address}/models/some%20model.Q4_0.gguf?download=true"
    path = hubbed.pull(url)
    assert path.read_bytes() == SMALL
    assert path.name == "some-model.Q4_0.gguf"
    manifest = hubbed.manifest("some-model.q4_0")
    assert (manifest.licence, manifest.sha256) == ("unknown", sha256(SMALL))
    assert not manifest.derivable
    assert hubbed.pull(url) == path


def test_a_login_in_an_address_is_not_kept(hubbed: Registry, secure: Server, paths: Paths) -> None:
    secure.files["/model.gguf"] = SMALL
    hubbed.pull(f"https://ann:secret@127.0.0.1:{secure.port}/model.gguf")
    assert "secret" not in (paths.models / "model" / "manifest.toml").read_text()


def test_what_is_no_model_is_not_kept(hubbed: Registry, secure: Server, paths: Paths) -> None:
    secure.files["/page.gguf"] = b"<html>not a model, whatever its name says</html>"
    with pytest.raises(ModelUnavailable, match="is not a GGUF file"):
        hubbed.pull(f"{secure.address}/page.gguf")
    assert not [*(paths.cache / "downloads").iterdir()]
    secure.files["/page.html"] = b"<html>"
    with pytest.raises(InvalidInput, match=r"no \.gguf file"):
        hubbed.pull(f"{secure.address}/page.html")


def test_a_taken_name_is_refused_before_anything_is_fetched(hubbed: Registry, hub: Server, tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(LARGE)
    hubbed.add(mine, name="mine")
    with pytest.raises(InvalidInput, match="the name 'mine' is taken"):
        hubbed.pull(f"hf:{REPO}", as_name="mine")
    assert not hub.sent.get(f"/cdn/{sha256(SMALL)}?signed=1")


def test_a_disk_without_room_is_one_clear_error(hubbed: Registry, hub: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(DownloadFailed, match=r"needs \d+ MiB, but 0 MiB are free"):
        hubbed.pull(f"hf:{REPO}")


# Offers


def test_an_offer_is_pulled_under_its_own_name(hubbed: Registry, hub: Server, shipped: Path) -> None:
    offers = shipped / "offers"
    offers.mkdir()
    (offers / "tiny-chat.toml").write_text(
        'name = "tiny-chat"\ndescription = "Small talk."\nlicence = "MIT"\nlicence_url = "https://example.com/mit"\n'
        f'parameters_b = 0.5\ndownload_mb = 1\nmemory_mb = 2\nlanguages = ["en"]\nsource = "hf:{REPO}:Q4_K_M"\n'
    )
    assert [offer.name for offer in hubbed.offers()] == ["tiny-chat"]
    path = hubbed.pull("tiny-chat")
    manifest = hubbed.manifest("tiny-chat")
    assert (manifest.licence, manifest.description) == ("MIT", "Small talk.")
    assert hubbed.pull("tiny-chat") == path
    assert hubbed.locate("tiny-chat").path == path
    with pytest.raises(InvalidInput, match="has a name already"):
        hubbed.pull("tiny-chat", as_name="other")
