"""The store: finding, checking, adding and removing models."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput, ModelUnavailable, NotFound
from edge_ttp.paths import Paths
from edge_ttp.registry import Manifest, Registry, read_manifest
from edge_ttp.registry.stamps import Stamps

from .makers import ADAPTER, BARE, CONTENT, FILE, NAME, POLICY, gguf, policy_toml, reward_folder, sha256

Offer = Callable[[], str]


@pytest.fixture
def gguf_file(tmp_path: Path) -> Path:
    path = tmp_path / "My Model-Q4.gguf"
    path.write_bytes(gguf())
    return path


def test_a_missing_model_names_the_command_that_fetches_it(registry: Registry, offer: Offer) -> None:
    offer()
    with pytest.raises(
        ModelUnavailable, match=r"the model 'tiny' is not on this device; run `edge-ttp models pull tiny`"
    ):
        registry.locate(NAME)


def test_an_unknown_name_lists_what_comes_close(registry: Registry, offer: Offer) -> None:
    offer()
    with pytest.raises(NotFound, match=r"no model is named 'tinny'; did you mean 'tiny'\? `edge-ttp models list`"):
        registry.locate("tinny")
    with pytest.raises(NotFound, match=r"'quite-different'; `edge-ttp models list` shows all"):
        registry.locate("quite-different")


@pytest.mark.parametrize("name", ["", "  ", "a\0b"])
def test_an_empty_name_is_refused(registry: Registry, name: str) -> None:
    with pytest.raises(InvalidInput):
        registry.locate(name)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (CONTENT[:-1], "is truncated"),
        (CONTENT + b"x", "is altered"),
        (CONTENT[:-1] + b"?", "is altered: its SHA-256"),
    ],
)
def test_a_damaged_file_is_refused_with_its_cure(registry: Registry, offer: Offer, damage: bytes, words: str) -> None:
    offer()
    registry.pull(NAME).write_bytes(damage)
    with pytest.raises(ModelUnavailable, match=rf"{words}.*run `edge-ttp models pull tiny`"):
        registry.locate(NAME)
    assert [one.ok for one in registry.verify(NAME)] == [False]


def test_a_located_model_carries_what_the_rooms_need(registry: Registry, offer: Offer) -> None:
    offer()
    path = registry.pull(NAME)
    located = registry.locate(NAME, kind="policy")
    assert (located.name, located.kind, located.path) == (NAME, "policy", path)
    assert (located.prompt_style, located.context, located.sha256) == ("chat", 2048, sha256(CONTENT))
    assert located.manifest == registry.manifest(NAME)


def test_a_model_of_another_kind_is_refused(registry: Registry, offer: Offer, shipped: Path, gguf_file: Path) -> None:
    offer()
    reward_folder(shipped / "judge")
    with pytest.raises(ModelUnavailable, match="'judge' is a model of kind reward, not policy"):
        registry.locate("judge", kind="policy")
    with pytest.raises(ModelUnavailable, match="kind policy, not reward"):
        registry.locate(NAME, kind="reward")
    with pytest.raises(ModelUnavailable, match="a reward model is a folder"):
        registry.locate(gguf_file, kind="reward")


def test_a_bundled_reward_model_is_a_folder(registry: Registry, shipped: Path) -> None:
    reward_folder(shipped / "judge")
    located = registry.locate("judge", kind="reward")
    assert located.path == shipped / "judge"
    assert registry.list()[0].bundled
    assert registry.list()[0].installed


@pytest.mark.parametrize("file", ["heads.onnx", "reward.json"])
def test_a_bundled_model_that_lost_a_file_asks_for_a_new_installation(
    registry: Registry, shipped: Path, file: str
) -> None:
    folder = reward_folder(shipped / "judge")
    (folder / file).unlink()
    with pytest.raises(ModelUnavailable, match=rf"'{file}' of the model 'judge' is missing; install edge-ttp again"):
        registry.locate("judge")


def test_a_file_outside_the_store_is_used_as_it_is(registry: Registry, gguf_file: Path, paths: Paths) -> None:
    located = registry.locate(str(gguf_file), kind="policy")
    assert (located.name, located.prompt_style, located.context) == ("My Model-Q4", "chat", 4096)
    assert located.manifest is None
    assert located.sha256 == sha256(gguf_file.read_bytes())
    assert not paths.models.exists()


def test_a_base_model_outside_the_store_is_few_shot(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "base.gguf"
    path.write_bytes(gguf(BARE))
    located = registry.locate(path)
    assert (located.prompt_style, located.context) == ("few-shot", None)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no model file"),
        (b"not a model at all, only text", "is not a GGUF file"),
        (gguf()[:-1], "is truncated"),
        (gguf({"general.architecture": "bert"}), r"is an embedding model \(bert\)"),
        (gguf({"general.architecture": "llama", "general.type": "adapter"}), "is an adapter"),
    ],
)
def test_a_file_that_is_no_policy_is_refused(
    registry: Registry, tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "x.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelUnavailable, match=words):
        registry.locate(path, kind="policy")


def test_a_folder_with_a_manifest_is_used_as_it_is(registry: Registry, tmp_path: Path) -> None:
    folder = reward_folder(tmp_path / "mine" / "judge")
    assert registry.locate(folder, kind="reward").path == folder
    (folder / "heads.onnx").write_bytes(b"heads" * 99)
    with pytest.raises(ModelUnavailable, match="truncated"):
        registry.locate(folder)


def test_a_model_is_hashed_once_until_it_changes(
    registry: Registry, offer: Offer, monkeypatch: pytest.MonkeyPatch, paths: Paths, shipped: Path
) -> None:
    from edge_ttp.registry import stamps

    offer()
    path = registry.pull(NAME)
    hashed: list[Path] = []
    real = stamps.file_sha256

    def counting(path: Path, *rest: object) -> str:
        hashed.append(path)
        return real(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(stamps, "file_sha256", counting)
    registry.locate(NAME)
    Registry(paths, shipped=shipped).locate(NAME)  # another process remembers too
    assert hashed == []
    os.utime(path)
    registry.locate(NAME)
    registry.locate(NAME)
    assert hashed == [path]
    registry.verify()
    assert hashed == [path, path]


def test_an_alteration_that_keeps_size_and_time_is_noticed(registry: Registry, offer: Offer) -> None:
    offer()
    path = registry.pull(NAME)
    before = path.stat()
    path.write_bytes(CONTENT[:-1] + b"?")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ModelUnavailable, match="altered"):
        registry.locate(NAME)


@pytest.mark.parametrize("rubbish", ["", "{", "[1]", '{"x": 3}', '{"x": [1, 2]}', "\0"])
def test_damaged_stamps_cost_time_only(tmp_path: Path, rubbish: str) -> None:
    file = tmp_path / "model"
    file.write_bytes(CONTENT)
    (tmp_path / "stamps.json").write_text(rubbish)
    stamps = Stamps(tmp_path / "stamps.json")
    assert stamps.sha256(file) == sha256(CONTENT)
    assert stamps.sha256(file) == sha256(CONTENT)


def test_stamps_that_cannot_be_written_cost_time_only(tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_bytes(CONTENT)
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert Stamps(tmp_path / "cache" / "stamps.json").sha256(file) == sha256(CONTENT)


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
    path.write_bytes(gguf(ADAPTER))
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


def test_adding_the_same_model_twice_is_no_error_another_under_its_name_is(
    registry: Registry, gguf_file: Path, tmp_path: Path
) -> None:
    first = registry.add(gguf_file, name="mine")
    assert registry.add(gguf_file, name="mine") == first
    other = tmp_path / "other.gguf"
    other.write_bytes(gguf(BARE))
    with pytest.raises(InvalidInput, match=r"the name 'mine' is taken; choose another with --name"):
        registry.add(other, name="mine")
    assert registry.locate("mine").sha256 == sha256(gguf())


def test_a_shipped_name_cannot_be_taken(registry: Registry, gguf_file: Path, offer: Offer) -> None:
    offer()
    with pytest.raises(InvalidInput, match="is taken"):
        registry.add(gguf_file, name=NAME)


def test_adding_that_fails_midway_leaves_nothing(
    registry: Registry, gguf_file: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ModelUnavailable, match=r"cannot store the model 'mine': No space left.*make room"):
            registry.add(gguf_file, name="mine")
    assert not (paths.models / "mine").exists()
    registry.add(gguf_file, name="mine")


def test_an_altered_added_model_is_restored_from_the_original(registry: Registry, gguf_file: Path) -> None:
    path = registry.add(gguf_file, name="mine").path
    assert path is not None
    path.write_bytes(b"x")
    with pytest.raises(ModelUnavailable, match="models pull mine"):
        registry.locate("mine")
    assert registry.pull("mine").read_bytes() == gguf()


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


def test_verify_reads_everything_that_is_here(registry: Registry, offer: Offer, shipped: Path, gguf_file: Path) -> None:
    offer()
    reward_folder(shipped / "judge")
    registry.add(gguf_file, name="mine")
    assert [(one.name, one.ok) for one in registry.verify()] == [("judge", True), ("mine", True)]
    (shipped / "judge" / "heads.onnx").write_bytes(b"x")
    results = {one.name: one for one in registry.verify()}
    assert results["mine"].ok
    assert "truncated" in results["judge"].problem
    assert [(one.ok, one.problem.partition(";")[0]) for one in registry.verify(NAME)] == [
        (False, "the model 'tiny' is not on this device")
    ]


def test_removing_frees_the_files_and_keeps_a_shipped_model_known(
    registry: Registry, offer: Offer, paths: Paths
) -> None:
    offer()
    registry.pull(NAME)
    assert registry.remove(NAME) >= len(CONTENT)
    assert not (paths.models / NAME).exists()
    assert [(entry.name, entry.installed) for entry in registry.list()] == [(NAME, False)]
    with pytest.raises(ModelUnavailable, match="not on this device"):
        registry.remove(NAME)


def test_removing_an_added_model_forgets_it(registry: Registry, gguf_file: Path) -> None:
    registry.add(gguf_file, name="mine")
    registry.remove("mine")
    assert registry.list() == ()
    assert gguf_file.exists()
    with pytest.raises(NotFound):
        registry.remove("mine")


def test_a_bundled_model_cannot_be_removed(registry: Registry, shipped: Path) -> None:
    folder = reward_folder(shipped / "judge")
    with pytest.raises(InvalidInput, match="is part of edge-ttp and cannot be removed"):
        registry.remove("judge")
    assert (folder / "heads.onnx").exists()


@pytest.mark.parametrize(
    ("name", "error"),
    [*((name, NotFound) for name in ("..", "../x", "/", ".", "a/b")), ("", InvalidInput), (" ", InvalidInput)],
)
def test_removing_never_leaves_the_store(registry: Registry, name: str, error: type[Exception], paths: Paths) -> None:
    paths.models.mkdir(parents=True)
    with pytest.raises(error):
        registry.remove(name)
    assert paths.models.exists()


def test_a_malformed_manifest_in_the_store_hides_no_other_model(registry: Registry, offer: Offer, paths: Paths) -> None:
    offer()
    broken = paths.models / "broken" / "manifest.toml"
    broken.parent.mkdir(parents=True)
    broken.write_text("name = ")
    assert [entry.name for entry in registry.list()] == [NAME]
    assert len(registry.problems()) == 1
    assert str(broken) in registry.problems()[0]
    with pytest.raises(InvalidInput, match="malformed"):
        registry.locate("broken")


def test_a_manifest_under_a_foreign_name_is_a_problem(registry: Registry, paths: Paths) -> None:
    folder = reward_folder(paths.models / "other", name="judge")
    assert registry.list() == ()
    assert str(folder) in registry.problems()[0]


def test_sizes_count_what_lies_on_this_device(registry: Registry, offer: Offer, gguf_file: Path) -> None:
    offer()
    assert registry.sizes() == {}
    registry.pull(NAME)
    registry.add(gguf_file, name="linked", link=True)
    sizes = registry.sizes()
    assert sizes[NAME] > len(CONTENT)
    assert set(sizes) == {NAME, "linked"}
    assert FILE in {path.name for path in registry.locate(NAME).path.parent.iterdir()}


def test_the_installed_package_finds_its_shipped_models(paths: Paths) -> None:
    names = {entry.name for entry in Registry(paths).list()}
    assert {"smollm2-135m-instruct", "gemma3-270m"} <= names
    assert Registry(paths).problems() == ()


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


def _adapter_in(folder: Path, name: str, bases: list[str], uses: list[str]) -> None:
    """A shipped or stored adapter for policies of these SHA-256s."""
    (folder / name).mkdir(parents=True)
    data = gguf({**ADAPTER, "general.name": name})
    (folder / name / "voice.gguf").write_bytes(data)
    (folder / name / "manifest.toml").write_text(
        f'name = "{name}"\nkind = "adapter"\nlicence = "MIT"\nbases = {bases}\nuses = {uses}\ntemperatures = [0.5]\n'
        f'[[files]]\npath = "voice.gguf"\nsize = {len(data)}\nsha256 = "{sha256(data)}"\n'
        'sources = [{ type = "bundled" }]\n'
    )


def test_a_policy_is_given_its_own_adapter_and_no_other(
    registry: Registry, shipped: Path, paths: Paths, gguf_file: Path, untried: list[str]
) -> None:
    policy = registry.locate(gguf_file)
    assert registry.voice(policy, "rewrite") is None
    _adapter_in(shipped, "stranger", ["0" * 64], ["rewrite"])
    _adapter_in(shipped, "ours", [policy.sha256], ["rewrite"])
    untried.clear()
    found = registry.voice(policy, "rewrite")
    assert found is not None
    assert (found.name, found.temperatures, untried) == ("ours", (0.5,), [])  # what came with us is not tried
    assert registry.voice(policy, "generate") is None
    with pytest.raises(InvalidInput, match="use --adapter none"):
        registry.remove("ours")
    assert registry.adapter("ours", policy).path == found.path
    with pytest.raises(InvalidInput, match="made for another policy"):
        registry.adapter("stranger", policy)
    _adapter_in(paths.models, "z-mine", [policy.sha256], ["rewrite", "generate"])
    mine = registry.voice(policy, "rewrite")
    assert mine is not None
    assert (mine.name, untried) == ("z-mine", ["voice.gguf"])  # the user's own comes first, and is tried


def test_an_adapter_for_a_policy_is_for_the_formats_made_of_it(
    registry: Registry, shipped: Path, gguf_file: Path
) -> None:
    policy = registry.locate(gguf_file)
    _adapter_in(shipped, "ours", [policy.sha256], ["rewrite"])
    fields = {"name": "x", "kind": "policy", "licence": "MIT", "prompt_style": "chat", "context": 9}
    file = {"path": "a", "size": 1, "sha256": "1" * 64, "sources": [{"type": "bundled"}]}
    made = Manifest.model_validate({**fields, "files": [file], "recipe": {"source_sha256": policy.sha256}})
    assert registry.voice(replace(policy, sha256="1" * 64, manifest=made), "rewrite") is not None
    assert registry.voice(replace(policy, sha256="1" * 64), "rewrite") is None
