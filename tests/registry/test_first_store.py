"""A model store that the code of 0.1.0 wrote (models_0_1_0.tar.gz, small files that pass for models) opens as it is.

In it: a policy that was added, another format made of it and chosen on one machine, and a reward model.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from edge_ttp.paths import Paths
from edge_ttp.registry import Registry, read_manifest, variants

WRITTEN = Path(__file__).with_name("models_0_1_0.tar.gz")
MACHINE = "x86_64/AMD EPYC"
"""Where the format was chosen."""


@pytest.fixture
def written(paths: Paths) -> Path:
    """The store's folder, as 0.1.0 left it."""
    paths.models.parent.mkdir(parents=True)
    with tarfile.open(WRITTEN) as archive:
        archive.extractall(paths.models.parent, filter="data")
    return paths.models


@pytest.fixture
def first(written: Path, registry: Registry) -> Registry:
    return registry


def test_every_model_of_a_store_of_0_1_0_is_there_and_sound(first: Registry) -> None:
    assert first.problems() == ()
    listed = {one.name: one for one in first.list()}
    assert {name: (one.kind, one.installed, one.format) for name, one in listed.items()} == {
        "mine": ("policy", True, "Q4_0"),
        "mine:Q8_0": ("policy", True, "Q8_0"),
        "judge": ("reward", True, ""),
    }
    assert {one.name: one.ok for one in first.verify()} == dict.fromkeys(listed, True)


def test_its_files_are_found_with_all_that_was_said_of_them(first: Registry, written: Path) -> None:
    own = first.own("mine")
    assert own.path == written / "mine" / "Mine-Q4_0.gguf"
    assert (own.prompt_style, own.context, own.manifest.licence) == ("chat", 4096, "Apache-2.0")
    derived = first.locate("mine:q8_0", kind="policy").manifest
    assert derived.recipe["source_sha256"] == own.sha256
    assert derived.measurements == {"loss": {"mean_kl": 0.01}}
    judge = first.locate("judge", kind="reward")
    assert judge.manifest.recipe == {"steps": 3, "tasks": ["a", "b"]}
    assert judge.manifest == read_manifest(judge.path / "manifest.toml")


def test_the_format_that_was_chosen_stays_chosen_on_that_machine(
    first: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variants, "processor", lambda: MACHINE)
    assert first.locate("mine").name == "mine:Q8_0"
    monkeypatch.setattr(variants, "processor", lambda: "another")
    assert first.locate("mine").name == "mine"


def test_it_goes_on_being_used(first: Registry, written: Path, gguf_file: Path) -> None:
    first.add(gguf_file, name="newcomer")
    first.remove("mine")
    assert sorted(one.name for one in first.list()) == ["judge", "newcomer"]
    assert not (written / "mine").exists()
