"""Models of other programs: made-up cache folders, real GGUF headers, and what hostile ones hold."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edge_ttp.paths import Paths
from edge_ttp.registry import Registry, found
from edge_ttp.registry.found import find_models

from .makers import POLICY, gguf, sha256


def content(name: str) -> bytes:
    return gguf({**POLICY, "general.name": name})


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def put_ollama(models: Path, name: str, data: bytes, *, registry: str = "registry.ollama.ai/library") -> Path:
    digest = sha256(data)
    blob = put(models / "blobs" / f"sha256-{digest}", data)
    manifest = {
        "schemaVersion": 2,
        "layers": [
            {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}", "size": len(data)},
            {"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:" + "0" * 64, "size": 3},
        ],
    }
    model, _, tag = name.partition(":")
    put(models / "manifests" / registry / model / tag, json.dumps(manifest).encode())
    return blob


def put_hub(hub: Path, repository: str, file: str, data: bytes) -> Path:
    folder = hub / f"models--{repository.replace('/', '--')}"
    put(folder / "blobs" / sha256(data), data)
    link = folder / "snapshots" / ("a" * 40) / file
    link.parent.mkdir(parents=True)
    link.symlink_to(Path("../../blobs") / sha256(data))  # relative, as the cache does it
    return link


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """The home of somebody who has used all of them."""
    folder = tmp_path / "somebody"
    put_ollama(folder / ".ollama" / "models", "llama3.2:1b", content("Llama"))
    put_ollama(folder / ".ollama" / "models", "mine:latest", content("Mine"), registry="registry.ollama.ai/ann")
    put_ollama(folder / ".ollama" / "models", "b-GGUF:Q4_K_M", content("Other"), registry="hf.co/a")
    put(folder / ".lmstudio/models/owner/repo/lm-Q4_K_M.gguf", content("Studio"))
    put(folder / ".cache/lm-studio/models/owner/repo/old.gguf", content("Old studio"))
    put_hub(folder / ".cache/huggingface/hub", "owner/Hub-GGUF", "hub-Q8_0.gguf", content("Hub"))
    put(folder / ".cache/llama.cpp/ggml-org_tiny.gguf", content("Cpp"))
    put(folder / ".local/share/nomic.ai/GPT4All/gpt.Q4_0.gguf", content("GPT"))
    return folder


def test_the_models_of_every_program_are_found(user: Path) -> None:
    found = find_models(user, {}, "linux")
    assert [(one.label, one.program, one.description.partition(" (")[0]) for one in found] == [
        ("gpt4all/gpt.Q4_0.gguf", "GPT4All", "GPT"),
        ("hf/owner/Hub-GGUF/hub-Q8_0.gguf", "Hugging Face cache", "Hub"),
        ("llama.cpp/ggml-org_tiny.gguf", "llama.cpp", "Cpp"),
        ("lmstudio/owner/repo/lm-Q4_K_M.gguf", "LM Studio", "Studio"),
        ("lmstudio/owner/repo/old.gguf", "LM Studio", "Old studio"),
        ("ollama/ann/mine:latest", "Ollama", "Mine"),
        ("ollama/hf.co/a/b-GGUF:Q4_K_M", "Ollama", "Other"),
        ("ollama/llama3.2:1b", "Ollama", "Llama"),
    ]
    assert all(one.size == one.path.stat().st_size and not one.problem for one in found)


def test_variables_name_other_folders(tmp_path: Path) -> None:
    put_ollama(tmp_path / "o", "x:1b", content("o"))
    put_hub(tmp_path / "h" / "hub", "a/b", "h.gguf", content("h"))
    put(tmp_path / "l" / "l.gguf", content("l"))
    put(tmp_path / "x" / "llama.cpp" / "x.gguf", content("x"))
    environment = {
        "OLLAMA_MODELS": str(tmp_path / "o"),
        "HF_HOME": str(tmp_path / "h"),
        "LLAMA_CACHE": str(tmp_path / "l"),
        "XDG_CACHE_HOME": str(tmp_path / "x"),
    }
    labels = [one.label for one in find_models(tmp_path / "nobody", environment, "linux")]
    assert labels == ["hf/a/b/h.gguf", "llama.cpp/l.gguf", "llama.cpp/x.gguf", "ollama/x:1b"]


def test_other_systems_have_other_folders(tmp_path: Path) -> None:
    put(tmp_path / "Library/Caches/llama.cpp/x.gguf", content("x"))
    put(tmp_path / "Library/Application Support/nomic.ai/GPT4All/y.gguf", content("y"))
    put(tmp_path / "AppData/Local/nomic.ai/GPT4All/z.gguf", content("z"))
    assert [one.label for one in find_models(tmp_path, {}, "darwin")] == ["gpt4all/y.gguf", "llama.cpp/x.gguf"]
    assert [one.label for one in find_models(tmp_path, {}, "win32")] == ["gpt4all/z.gguf"]


def test_a_file_that_two_programs_share_is_found_once(tmp_path: Path) -> None:
    path = put(tmp_path / ".lmstudio/models/a/b/c.gguf", content("c"))
    (tmp_path / ".cache/llama.cpp").mkdir(parents=True)
    (tmp_path / ".cache/llama.cpp/c.gguf").symlink_to(path)
    assert [one.label for one in find_models(tmp_path, {}, "linux")] == ["lmstudio/a/b/c.gguf"]


def test_what_cannot_be_a_policy_says_why_and_what_is_no_model_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / ".cache/llama.cpp"
    put(folder / "bert.gguf", gguf({**POLICY, "general.architecture": "bert"}))
    put(folder / "lora.gguf", gguf({**POLICY, "general.type": "adapter"}))
    put(folder / "big-00001-of-00002.gguf", content("big"))
    put(folder / "big-00002-of-00002.gguf", content("big 2"))
    put(folder / "short.gguf", content("short")[:200])
    put(folder / "page.gguf", b"<html>" * 100)
    put(folder / "mmproj-x.gguf", content("projector"))
    put(folder / "empty.gguf", b"")
    (folder / "gone.gguf").symlink_to(folder / "nowhere")
    (folder / "loop.gguf").symlink_to(folder / "loop.gguf")
    problems = {one.label.partition("/")[2]: one.problem for one in find_models(tmp_path, {}, "linux")}
    assert problems.keys() == {"bert.gguf", "lora.gguf", "big-00001-of-00002.gguf", "short.gguf"}
    assert "cannot write text" in problems["bert.gguf"]
    assert "adapter" in problems["lora.gguf"]
    assert "several parts" in problems["big-00001-of-00002.gguf"]
    assert problems["short.gguf"]


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"layers": 3}',
        b'{"layers": [{"mediaType": "application/vnd.ollama.image.model"}]}',
        b'{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "../../../etc/passwd"}]}',
        b'{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:abc"}]}',
        b"\xff\xfe",
    ],
)
def test_a_hostile_manifest_of_ollama_leads_nowhere(tmp_path: Path, manifest: bytes) -> None:
    put(tmp_path / ".ollama/models/manifests/registry.ollama.ai/library/x/latest", manifest)
    assert find_models(tmp_path, {}, "linux") == []


def test_a_name_with_control_characters_is_not_shown(tmp_path: Path) -> None:
    put(tmp_path / ".cache/llama.cpp/a\x1b[31m.gguf", content("x"))
    assert find_models(tmp_path, {}, "linux") == []


def test_a_link_of_the_hub_cache_can_be_linked_into_the_store(registry: Registry, paths: Paths, user: Path) -> None:
    """A symbolic link itself was linked, and its relative target led nowhere from there."""
    link = next((user / ".cache/huggingface/hub").rglob("*.gguf"))
    assert link.is_symlink()
    entry = registry.add(link, name="hub", link=True)
    assert entry.path is not None
    assert entry.path.read_bytes() == content("Hub")
    assert registry.locate("hub").path == entry.path
    link.unlink()  # the blob is what was linked
    assert registry.verify("hub")[0].ok


def test_a_blob_of_ollama_becomes_a_model_with_a_name(registry: Registry, user: Path) -> None:
    [found] = [one for one in find_models(user, {}, "linux") if one.label == "ollama/llama3.2:1b"]
    entry = registry.add(found.path, name="llama3.2-1b", file_name="llama3.2-1b.gguf", link=True)
    assert entry.path is not None
    assert (entry.path.name, entry.description) == ("llama3.2-1b.gguf", "Llama (llama, Q4_0)")
    assert entry.path.samefile(found.path)


def test_what_only_pretends_to_be_a_cache_is_passed_over(
    user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = [model.label for model in find_models(user, {}, "linux")]
    os.mkfifo(user / ".ollama" / "models" / "manifests" / "registry.ollama.ai" / "library" / "llama3.2" / "pipe")
    assert [model.label for model in find_models(user, {"OLLAMA_MODELS": "~nobody-here/x"}, "linux")] == usual
    wide = tmp_path / "wide"
    for number in range(50):
        put(wide / f"{number:02}" / "file", b"x")
    put(wide / "zz" / "last.gguf", content("Last"))
    monkeypatch.setattr(found, "MAX_SEEN", 60)  # a cache that is a link to a whole disk is not read to its end
    assert len(list(found._below(wide))) <= 61
