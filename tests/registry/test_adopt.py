"""Models a person already has: what their files say, what options may overrule, what is refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput, ModelUnavailable
from edge_ttp.paths import Paths
from edge_ttp.registry import Manifest, Registry, read_header, read_manifest
from edge_ttp.registry.adopt import describe_header, guess_prompt_style, prepare, suggest_name

from .makers import ADAPTED, ADAPTER, BARE, POLICY, gguf, policy_toml, reward_folder, sha256


def test_adding_copies_the_file_and_reads_the_rest_from_its_header(
    registry: Registry, gguf_file: Path, paths: Paths
) -> None:
    seen: list[tuple[int, int]] = []
    entry = registry.add(gguf_file, progress=lambda done, total: seen.append((done, total)))
    size = gguf_file.stat().st_size
    assert (entry.name, entry.kind, entry.size) == ("my-model-q4", "policy", size)
    assert entry.path == paths.models / "my-model-q4" / "My-Model-Q4.gguf"
    assert entry.description == "Tiny (llama, Q4_0)"
    assert seen[-1] == (size, size)
    located = registry.locate("my-model-q4")
    assert (located.prompt_style, located.context) == ("chat", 4096)
    gguf_file.unlink()
    assert registry.locate("my-model-q4").path.is_file()


def test_options_of_adding_overrule_the_header(registry: Registry, gguf_file: Path) -> None:
    registry.add(
        gguf_file,
        name="mine",
        prompt_style="few-shot",
        context=512,
        licence="MIT",
        licence_url="https://example.com/licence",
        description="My own.",
    )
    manifest = registry.manifest("mine")
    assert (manifest.prompt_style, manifest.context, manifest.licence) == ("few-shot", 512, "MIT")
    assert (manifest.licence_url, manifest.description) == ("https://example.com/licence", "My own.")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "Not A Name"}, "name: "),
        ({"name": ""}, "name: "),
        ({"name": "../up"}, "name: "),
        ({"context": -1}, "context: "),
        ({"licence": "two\nlines"}, "licence: "),
        ({"licence_url": "ftp://x"}, "licence_url"),
        ({"kind": "adapter"}, "is a whole model, not an adapter"),
    ],
)
def test_adding_refuses_options_that_cannot_be_meant(
    registry: Registry, gguf_file: Path, paths: Paths, options: dict[str, object], words: str
) -> None:
    with pytest.raises((InvalidInput, ModelUnavailable), match=words):
        registry.add(gguf_file, **options)  # type: ignore[arg-type]
    assert not list(paths.models.rglob("*.gguf"))


def test_adding_refuses_an_embedding_model(registry: Registry, tmp_path: Path, paths: Paths) -> None:
    path = tmp_path / "bert.gguf"
    path.write_bytes(gguf({"general.architecture": "bert"}))
    with pytest.raises(ModelUnavailable, match=r"embedding model \(bert\).*text generation model"):
        registry.add(path)
    assert not paths.models.exists()


def test_an_adapter_is_added_as_one(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "style.gguf"
    path.write_bytes(gguf(ADAPTER, ADAPTED))
    assert registry.add(path).kind == "adapter"
    with pytest.raises(InvalidInput, match="belong to a policy"):
        registry.add(path, name="other", context=512)


def test_hostile_texts_in_a_header_become_plain(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf({**POLICY, "general.name": "a\x1b[31mb\nc\u202e", "general.license": "\x1b]0;x\x07"}))
    entry = registry.add(path)
    assert entry.description == "a[31mbc (llama, Q4_0)"
    assert entry.licence == "]0;x"


def test_linking_copies_nothing_and_leaves_the_original_as_it_was(registry: Registry, gguf_file: Path) -> None:
    gguf_file.chmod(0o644)
    entry = registry.add(gguf_file, link=True)
    assert entry.path is not None
    assert entry.path.samefile(gguf_file)
    assert gguf_file.stat().st_mode & 0o777 == 0o644
    registry.remove(entry.name)
    assert gguf_file.read_bytes() == gguf()


def test_linking_across_disks_is_symbolic(registry: Registry, gguf_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    entry = registry.add(gguf_file, link=True)
    assert entry.path is not None
    assert entry.path.is_symlink()
    assert registry.locate(entry.name).sha256 == sha256(gguf())
    registry.remove(entry.name)
    assert gguf_file.exists()


def test_a_folder_with_a_manifest_is_added_whole(registry: Registry, tmp_path: Path, paths: Paths) -> None:
    folder = reward_folder(tmp_path / "judge")
    entry = registry.add(folder)
    assert (entry.name, entry.kind, entry.path) == ("judge", "reward", paths.models / "judge")
    assert registry.manifest("judge").measurements == {"share": 0.25, "by task": {"a": 0.5}}
    assert registry.locate("judge", kind="reward").path == paths.models / "judge"
    (paths.models / "judge" / "heads.onnx").unlink()
    registry.pull("judge")
    assert registry.locate("judge").sha256 == read_manifest(folder / "manifest.toml").sha256


@pytest.mark.parametrize(("file", "content"), [("heads.onnx", b""), ("heads.onnx", b"other"), ("reward.json", None)])
def test_a_folder_that_is_not_what_its_manifest_says_is_refused(
    registry: Registry, tmp_path: Path, paths: Paths, file: str, content: bytes | None
) -> None:
    folder = reward_folder(tmp_path / "judge")
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    with pytest.raises(ModelUnavailable, match=file):
        registry.add(folder)
    assert not paths.models.exists()


def test_a_manifest_alone_is_added_and_pulled_later(registry: Registry, tmp_path: Path, gguf_file: Path) -> None:
    source = f'{{ type = "file", path = "{gguf_file}" }}'
    manifest = tmp_path / "mine.toml"
    manifest.write_text(policy_toml(source, name="mine", content=gguf()))
    entry = registry.add(manifest)
    assert (entry.name, entry.installed, entry.path) == ("mine", False, None)
    assert registry.pull("mine").read_bytes() == gguf()


def test_a_manifest_alone_may_not_name_files_relative_to_its_folder(registry: Registry, tmp_path: Path) -> None:
    manifest = tmp_path / "mine.toml"
    manifest.write_text(policy_toml('{ type = "file", path = "x.gguf" }', name="mine"))
    with pytest.raises(InvalidInput, match="absolute paths"):
        registry.add(manifest)


def test_options_beside_a_manifest_are_refused(registry: Registry, tmp_path: Path) -> None:
    folder = reward_folder(tmp_path / "judge")
    with pytest.raises(InvalidInput, match="has a manifest"):
        registry.add(folder, name="other")


def test_a_folder_made_here_is_no_source_to_pull_from(registry: Registry, tmp_path: Path) -> None:
    folder = reward_folder(tmp_path / "judge")
    registry.add(folder, made=True)
    shutil.rmtree(folder)
    assert registry.manifest("judge").bundled
    path = registry.locate("judge", kind="reward").path
    (path / "heads.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelUnavailable, match="it was made on this device: `edge-ttp models rm judge`"):
        registry.locate("judge")
    assert registry.remove("judge") > 0


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("My Model-Q4", "my-model-q4"),
        ("..hidden..", "hidden"),
        ("日本語", "model"),
        ("", "model"),
        ("a" * 63 + ".b", "a" * 63),
        ("UPPER_case.v1", "upper_case.v1"),
    ],
)
def test_a_file_suggests_a_name_that_the_store_takes(stem: str, name: str) -> None:
    assert suggest_name(stem) == name
    file = {"path": "x", "size": 1, "sha256": "0" * 64, "sources": [{"type": "bundled"}]}
    fields = {"name": name, "kind": "policy", "licence": "MIT", "prompt_style": "chat", "context": 9}
    assert Manifest.model_validate({**fields, "files": [file]}).name == name


def test_a_free_licence_makes_a_policy_derivable_and_an_unknown_one_does_not(
    registry: Registry, tmp_path: Path
) -> None:
    path = tmp_path / "x.gguf"
    for licence, derivable in (("Apache-2.0", True), ("llama3", False), (None, False)):
        path.write_bytes(gguf({**POLICY, **({"general.license": licence} if licence else {})}))
        entry = registry.add(path, name=f"of-{licence or 'nobody'}".lower())
        assert (entry.derivable, entry.licence) == (derivable, licence or "unknown")
    assert registry.add(path, name="by-hand", derivable=True).derivable


def test_a_description_says_what_the_header_knows(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf())
    header = read_header(path)
    assert describe_header(header) == "Tiny (llama, Q4_0)"
    assert guess_prompt_style(header) == "chat"
    path.write_bytes(gguf(BARE))
    bare = read_header(path)
    assert describe_header(bare).startswith("llama")
    assert guess_prompt_style(bare) == "few-shot"


def test_what_is_opened_of_an_adoption_is_where_it_is_now(tmp_path: Path) -> None:
    plain = {"prompt_style": None, "context": None, "licence": None, "licence_url": "", "description": None}
    path = tmp_path / "x y.gguf"
    path.write_bytes(gguf())
    adoption = prepare(path, name=None, kind=None, **plain)  # type: ignore[arg-type]
    assert adoption.opened == path
    assert [*adoption.originals] == ["x-y.gguf"]
    folder = reward_folder(tmp_path / "judge")
    assert prepare(folder, name=None, kind=None, **plain).opened == folder  # type: ignore[arg-type]
    manifest = tmp_path / "mine.toml"
    manifest.write_text(policy_toml(f'{{ type = "file", path = "{path}" }}', name="mine"))
    assert prepare(manifest, name=None, kind=None, **plain).opened is None  # type: ignore[arg-type]
