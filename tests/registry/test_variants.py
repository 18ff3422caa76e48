"""Formats made on the device: their manifests, the choice between them, and what happens when something is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput, ModelUnavailable, NotFound, OutOfCapacity
from edge_ttp.paths import Paths
from edge_ttp.registry import Facts, Registry, read_manifest, variants
from edge_ttp.registry.variants import Make, split_name

from .makers import POLICY, gguf, policy_toml, reward_folder

OWN, Q8_0, F16 = 2, 7, 1  # general.file_type


def content(file_type: int, *, name: str = "Tiny") -> bytes:
    return gguf({**POLICY, "general.file_type": file_type, "general.name": name})


def maker(data: bytes, calls: list[Path] | None = None) -> Make:
    def make(source: Path, target: Path) -> Facts:
        if calls is not None:
            calls.append(source)
        target.write_bytes(data)
        return Facts({"tool": "a test"}, {"loss": {"mean_kl": 0.01}})

    return make


@pytest.fixture
def model(registry: Registry, shipped: Path, tmp_path: Path) -> str:
    """A shipped model, Q4_0, pulled from a file."""
    original = tmp_path / "Tiny.Q4_0.gguf"
    original.write_bytes(content(OWN))
    toml = policy_toml(f'{{ type = "file", path = "{original}" }}', path="Tiny.Q4_0.gguf", content=content(OWN))
    (shipped / "tiny.toml").write_text('format = "Q4_0"\nderivable = true\n' + toml)
    registry.pull("tiny")
    return "tiny"


def test_a_derived_format_is_found_by_name_and_format_and_says_how_it_was_made(
    registry: Registry, model: str, paths: Paths
) -> None:
    calls: list[Path] = []
    made = registry.derive(model, "Q8_0", maker(content(Q8_0), calls))
    assert made == registry.locate("tiny:Q8_0") == registry.locate("tiny:q8_0", kind="policy")
    assert (made.name, made.format, made.prompt_style, made.context) == ("tiny:Q8_0", "Q8_0", "chat", 2048)
    assert made.path.read_bytes() == content(Q8_0)
    assert calls == [paths.models / "tiny" / "Tiny.Q4_0.gguf"]
    assert made.path.name.startswith("Tiny.Q8_0-")
    manifest = read_manifest(made.path.parent / "manifest.toml")
    assert manifest == made.manifest == registry.manifest("tiny:Q8_0")
    assert manifest.recipe["source_sha256"] == registry.own(model).sha256
    assert manifest.recipe["source_format"] == "Q4_0"
    assert manifest.recipe["tool"] == "a test"
    assert "Modified" in str(manifest.recipe["notice"])
    assert manifest.measurements == {"loss": {"mean_kl": 0.01}}
    assert manifest.licence == "Apache-2.0"


def test_the_own_file_stays_what_the_name_alone_means_until_another_is_chosen(registry: Registry, model: str) -> None:
    registry.derive(model, "Q8_0", maker(content(Q8_0)))
    assert registry.locate(model).name == "tiny"
    registry.choose(model, "Q8_0", "faster here")
    located = registry.locate(model)
    assert (located.name, located.format) == ("tiny:Q8_0", "Q8_0")
    assert registry.locate("tiny:Q4_0").format == "Q4_0"
    choice = registry.choice(model)
    assert choice is not None
    assert (choice.format, choice.reason) == ("Q8_0", "faster here")
    registry.choose(model, "Q4_0")
    assert registry.locate(model).format == "Q4_0"


def test_another_processor_has_a_choice_of_its_own(
    registry: Registry, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.derive(model, "Q8_0", maker(content(Q8_0)))
    registry.choose(model, "Q8_0")
    monkeypatch.setattr(variants, "processor", lambda: "another/machine")
    assert registry.choice(model) is None
    assert registry.locate(model).name == "tiny"
    registry.choose(model, "Q4_0")
    monkeypatch.undo()
    assert registry.locate(model).format == "Q8_0"


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "[]", '{"devices": 3}', '{"devices": {"%s": {"format": "../x"}}}']
)
def test_a_damaged_note_of_the_choice_counts_as_none(registry: Registry, model: str, paths: Paths, text: str) -> None:
    registry.derive(model, "Q8_0", maker(content(Q8_0)))
    registry.choose(model, "Q8_0")
    path = paths.models / "tiny" / "variants" / "choices.json"
    path.write_text(text.replace("%s", variants.processor()))
    assert registry.choice(model) is None
    assert registry.locate(model).name == "tiny"
    registry.choose(model, "Q8_0")
    assert registry.locate(model).name == "tiny:Q8_0"


def test_deriving_again_does_nothing_unless_forced_or_damaged(registry: Registry, model: str) -> None:
    calls: list[Path] = []
    first = registry.derive(model, "Q8_0", maker(content(Q8_0), calls))
    registry.derive(model, "Q8_0", maker(content(Q8_0), calls))
    assert len(calls) == 1
    forced = registry.derive(model, "Q8_0", maker(content(Q8_0, name="Other"), calls), force=True)
    assert len(calls) == 2
    assert forced.path != first.path
    assert not first.path.exists(), "the file that was replaced is removed"
    forced.path.write_bytes(b"broken")
    registry.derive(model, "Q8_0", maker(content(Q8_0), calls))
    assert len(calls) == 3


def test_a_failed_making_leaves_nothing(registry: Registry, model: str, paths: Paths) -> None:
    def fails(source: Path, target: Path) -> Facts:
        target.write_bytes(b"half")
        raise OutOfCapacity("the disk is full")

    with pytest.raises(OutOfCapacity):
        registry.derive(model, "Q8_0", fails)
    assert not (paths.models / "tiny" / "variants" / "Q8_0").exists()
    registry.derive(model, "Q8_0", maker(content(Q8_0)))
    with pytest.raises(OutOfCapacity):
        registry.derive(model, "Q8_0", fails, force=True)
    assert registry.locate("tiny:Q8_0").path.read_bytes() == content(Q8_0), "the one that was there is kept"
    assert len([*(paths.models / "tiny" / "variants" / "Q8_0").iterdir()]) == 2


def test_what_is_made_must_be_what_was_asked_for(registry: Registry, model: str) -> None:
    with pytest.raises(ModelUnavailable, match="is llama F16, not Q8_0"):
        registry.derive(model, "Q8_0", maker(content(F16)))
    with pytest.raises(NotFound):
        registry.locate("tiny:Q8_0")


def test_an_altered_variant_is_refused_with_its_cure(registry: Registry, model: str) -> None:
    made = registry.derive(model, "Q8_0", maker(content(Q8_0)))
    made.path.write_bytes(content(Q8_0)[:-1])
    with pytest.raises(ModelUnavailable, match="run `edge-ttp models derive tiny --format Q8_0 --force`"):
        registry.locate("tiny:Q8_0")
    results = {one.name: one.ok for one in registry.verify("tiny")}
    assert results == {"tiny": True, "tiny:Q8_0": False}
    assert [one.ok for one in registry.verify("tiny:Q8_0")] == [False]
    assert registry.locate(model).name == "tiny", "the own file is not affected"


def test_a_new_own_file_makes_variants_and_choices_void(
    registry: Registry, model: str, shipped: Path, tmp_path: Path
) -> None:
    registry.derive(model, "Q8_0", maker(content(Q8_0)))
    registry.choose(model, "Q8_0")
    newer = content(OWN, name="Newer")
    original = tmp_path / "newer.gguf"
    original.write_bytes(newer)
    toml = policy_toml(f'{{ type = "file", path = "{original}" }}', path="Newer.gguf", content=newer)
    (shipped / "tiny.toml").write_text('format = "Q4_0"\nderivable = true\n' + toml)
    registry.pull("tiny")
    assert registry.choice(model) is None
    assert registry.locate(model).path.name == "Newer.gguf"
    with pytest.raises(ModelUnavailable, match="made from another file"):
        registry.locate("tiny:Q8_0")
    registry.derive(model, "Q8_0", maker(content(Q8_0)))
    assert registry.locate("tiny:Q8_0").format == "Q8_0"


def test_the_list_shows_every_format_and_which_is_used(registry: Registry, model: str) -> None:
    assert [(one.name, one.format, one.chosen) for one in registry.list()] == [("tiny", "Q4_0", False)]
    registry.derive(model, "Q8_0", maker(content(Q8_0)))
    registry.choose(model, "Q8_0")
    lines = {one.name: one for one in registry.list()}
    assert [(name, one.chosen, one.variant_of) for name, one in lines.items()] == [
        ("tiny", False, None),
        ("tiny:Q8_0", True, "tiny"),
    ]
    assert lines["tiny:Q8_0"].installed
    assert lines["tiny:Q8_0"].size == len(content(Q8_0))
    assert [one.format for one in registry.formats("tiny")] == ["Q4_0", "Q8_0"]


def test_removing_a_format_removes_the_preference_for_it(registry: Registry, model: str) -> None:
    registry.derive(model, "Q8_0", maker(content(Q8_0)))
    registry.derive(model, "F16", maker(content(F16)))
    registry.choose(model, "Q8_0")
    assert registry.remove("tiny:Q8_0") > len(content(Q8_0))
    assert registry.locate(model).name == "tiny"
    assert [one.format for one in registry.formats("tiny")] == ["Q4_0", "F16"]
    with pytest.raises(InvalidInput, match="remove the whole model"):
        registry.remove("tiny:Q4_0")
    registry.remove("tiny")
    assert not any(one.installed for one in registry.list())


def test_a_format_is_derived_never_pulled(registry: Registry, model: str) -> None:
    registry.derive(model, "Q8_0", maker(content(Q8_0)))
    with pytest.raises(InvalidInput, match="has no source; run `edge-ttp models derive tiny --format Q8_0 --force`"):
        registry.pull("tiny:Q8_0")
    with pytest.raises(NotFound, match=r"no format 'F16' here, only Q4_0, Q8_0; `edge-ttp models derive tiny"):
        registry.locate("tiny:F16")


@pytest.mark.parametrize("name", ["tiny:", "tiny:../Q8_0", "tiny:Q8_0:Q8_0", "tiny: "])
def test_a_format_that_cannot_be_one_is_not_found(registry: Registry, model: str, name: str) -> None:
    with pytest.raises((NotFound, ModelUnavailable)):
        registry.locate(name)


def test_only_what_the_manifest_allows_is_derived(
    registry: Registry, model: str, shipped: Path, tmp_path: Path
) -> None:
    text = (shipped / "tiny.toml").read_text()
    (shipped / "tiny.toml").write_text(text.replace("derivable = true\n", ""))
    with pytest.raises(InvalidInput, match="does not say `derivable = true`"):
        registry.derive(model, "Q8_0", maker(content(Q8_0)))
    with pytest.raises(NotFound, match=r"only Q4_0$"):
        registry.locate("tiny:Q8_0")
    reward_folder(tmp_path / "judge")
    registry.add(tmp_path / "judge")
    with pytest.raises(InvalidInput, match="is no policy"):
        registry.derive("judge", "Q8_0", maker(content(Q8_0)))


def test_the_format_that_the_model_has_is_not_derived(registry: Registry, model: str) -> None:
    with pytest.raises(InvalidInput, match="'tiny' is Q4_0 already"):
        registry.derive(model, "Q4_0", maker(content(OWN)))


@pytest.mark.parametrize(
    ("licence", "derivable", "expected"),
    [("MIT", None, True), ("unknown", None, False), ("unknown", True, True), ("MIT", False, False)],
)
def test_an_added_model_is_derivable_by_its_licence_or_when_said(
    registry: Registry, tmp_path: Path, licence: str, derivable: bool | None, expected: bool
) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(content(OWN))
    entry = registry.add(path, licence=licence, derivable=derivable)
    assert (entry.format, entry.derivable) == ("Q4_0", expected)
    if expected:
        assert registry.derive("mine", "F16", maker(content(F16))).format == "F16"


def test_a_model_whose_manifest_tells_no_format_has_that_of_its_file(
    registry: Registry, model: str, shipped: Path
) -> None:
    text = (shipped / "tiny.toml").read_text()
    (shipped / "tiny.toml").write_text(text.replace('format = "Q4_0"\n', ""))
    assert registry.locate("tiny:Q4_0").format == "Q4_0"
    assert registry.own(model).name == "tiny:Q4_0"


def test_a_malformed_variant_is_named_and_does_not_hide_the_model(registry: Registry, model: str, paths: Paths) -> None:
    made = registry.derive(model, "Q8_0", maker(content(Q8_0)))
    (made.path.parent / "manifest.toml").write_text("name = 3")
    assert [one.name for one in registry.list()] == ["tiny"]
    (problem,) = registry.problems()
    assert "malformed" in problem
    with pytest.raises(InvalidInput, match="malformed"):
        registry.locate("tiny:Q8_0")


def test_the_choices_of_many_processors_stay_a_small_file(
    registry: Registry, model: str, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(variants.MAX_CHOICES + 10):
        monkeypatch.setattr(variants, "processor", lambda index=index: f"machine/{index}")
        registry.choose(model, "Q4_0")
    found = json.loads((paths.models / "tiny" / "variants" / "choices.json").read_text())["devices"]
    assert len(found) == variants.MAX_CHOICES
    assert [*found][-1] == f"machine/{variants.MAX_CHOICES + 9}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", ("a", None)), ("a:q4_k_m", ("a", "Q4_K_M")), ("a:", ("a", "")), ("a:b:c", ("a", "B:C"))],
)
def test_names_are_split_at_the_first_colon(text: str, expected: tuple[str, str | None]) -> None:
    assert split_name(text) == expected


def test_a_file_of_a_model_may_not_lie_among_its_variants(shipped: Path, registry: Registry) -> None:
    (shipped / "tiny.toml").write_text(policy_toml('{ type = "bundled" }', path="variants/x.gguf"))
    assert "which the store uses itself" in registry.problems()[0]
