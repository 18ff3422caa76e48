"""Looking into the store: where models lie, that they are what they should be, and whose adapter is whose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput, ModelUnavailable
from edge_ttp.paths import Paths
from edge_ttp.registry import Manifest, Registry

from .makers import ADAPTED, ADAPTER, BARE, CONTENT, FILE, NAME, gguf, reward_folder, sha256

Offer = Callable[[], str]


def test_a_missing_model_names_the_command_that_fetches_it(registry: Registry, offer: Offer) -> None:
    offer()
    with pytest.raises(
        ModelUnavailable, match=r"the model 'tiny' is not on this device; run `edge-ttp models pull tiny`"
    ):
        registry.locate(NAME)


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


def test_sizes_count_what_lies_on_this_device(registry: Registry, offer: Offer, gguf_file: Path) -> None:
    offer()
    assert registry.sizes() == {}
    registry.pull(NAME)
    registry.add(gguf_file, name="linked", link=True)
    sizes = registry.sizes()
    assert sizes[NAME] > len(CONTENT)
    assert set(sizes) == {NAME, "linked"}
    assert FILE in {path.name for path in registry.locate(NAME).path.parent.iterdir()}


def _adapter_in(folder: Path, name: str, bases: list[str], uses: list[str]) -> None:
    """A shipped or stored adapter for policies of these SHA-256s."""
    (folder / name).mkdir(parents=True)
    data = gguf({**ADAPTER, "general.name": name}, ADAPTED)
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
