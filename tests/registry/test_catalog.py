"""Which models there are: what is found, what hides nothing else, and what comes close to a wrong name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.paths import Paths
from edge_ttp.registry import Registry
from edge_ttp.registry.catalog import Catalog, check_usable

from .makers import NAME, policy_toml, reward_folder, wheel_source

Offer = Callable[[], str]


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


def test_the_installed_package_finds_its_shipped_models(paths: Paths) -> None:
    names = {entry.name for entry in Registry(paths).list()}
    assert {"smollm2-135m-instruct", "gemma3-270m"} <= names
    assert Registry(paths).problems() == ()


@pytest.fixture
def catalog(shipped: Path, paths: Paths) -> Catalog:
    return Catalog(shipped, paths.models)


@pytest.mark.parametrize(("name", "said"), [("\ud800", "not valid Unicode"), ("a" * 300, "has 300 characters")])
def test_what_no_file_system_takes_is_no_name(name: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        check_usable(name)
    check_usable("/".join(["a" * 255] * 3))


def test_a_shipped_manifest_wins_over_one_in_the_store(catalog: Catalog, shipped: Path, paths: Paths) -> None:
    mine = paths.models / NAME / "manifest.toml"
    mine.parent.mkdir(parents=True)
    mine.write_text(policy_toml('{ type = "bundled" }', name=NAME))
    assert [(entry.label, entry.shipped) for entry in catalog.entries()] == [(NAME, False)]
    (shipped / f"{NAME}.toml").write_text(policy_toml(wheel_source(("tiny-wheel", "tiny.gguf"))))
    (found,) = catalog.entries()
    assert found.shipped
    assert found.folder == paths.models / NAME
    assert catalog.is_shipped(NAME)
    assert not catalog.is_shipped("other")
    assert catalog.shipped_digests() == frozenset({found.manifest.sha256})


def test_every_sort_of_model_has_its_own_cure(catalog: Catalog, shipped: Path, paths: Paths) -> None:
    reward_folder(shipped / "judge")
    reward_folder(paths.models / "made", name="made")
    (shipped / f"{NAME}.toml").write_text(policy_toml(wheel_source(("tiny-wheel", "tiny.gguf"))))
    cures = {entry.label: entry.repair for entry in catalog.entries()}
    assert cures["judge"] == "install edge-ttp again"
    assert cures["made"].startswith("it was made on this device")
    assert cures[NAME] == "run `edge-ttp models pull tiny`"


def test_a_format_that_is_not_here_names_those_that_are(catalog: Catalog, shipped: Path) -> None:
    (shipped / f"{NAME}.toml").write_text(policy_toml(wheel_source(("tiny-wheel", "tiny.gguf"))))
    with pytest.raises(NotFound, match=r"has no format 'Q8_0' here, only its own") as raised:
        catalog.find(f"{NAME}:Q8_0")
    assert raised.value.cure == ""  # its licence does not say that others may be made
