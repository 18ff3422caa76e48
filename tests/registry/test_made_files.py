"""What was made here: counted, shown by doctor, and the least recently used goes first when it becomes too much."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_ttp.errors import OutOfCapacity
from edge_ttp.history.read_states import states_folder
from edge_ttp.lab import doctor
from edge_ttp.paths import Paths
from edge_ttp.registry import Registry, made_files
from edge_ttp.system.settings import change_settings

from .makers import POLICY, gguf, policy_toml
from .test_variants import content, maker

FORMATS = {"F16": 1, "Q8_0": 7, "Q4_1": 3}


@pytest.fixture
def model(registry: Registry, shipped: Path, tmp_path: Path) -> str:
    """A shipped model, Q4_0, pulled from a file."""
    original = tmp_path / "Tiny.Q4_0.gguf"
    original.write_bytes(content(2))
    toml = policy_toml(f'{{ type = "file", path = "{original}" }}', path="Tiny.Q4_0.gguf", content=content(2))
    (shipped / "tiny.toml").write_text('format = "Q4_0"\nderivable = true\n' + toml)
    registry.pull("tiny")
    return "tiny"


def derive(registry: Registry, paths: Paths, format: str, *, used_at: float) -> int:
    """Makes a format that was last used at that moment; its bytes, manifest included."""
    made = registry.derive("tiny", format, maker(content(FORMATS[format])))
    os.utime(made.path.parent / "manifest.toml", (used_at, used_at))
    return next(one.size for one in registry.made_files() if one.name == f"tiny:{format}")


def names(registry: Registry) -> list[str]:
    return [one.name for one in registry.made_files() if one.kind == "derived"]


def test_the_least_recently_used_format_goes_first_and_the_chosen_one_last(
    registry: Registry, model: str, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = derive(registry, paths, "F16", used_at=100)
    derive(registry, paths, "Q8_0", used_at=200)
    assert names(registry) == ["tiny:F16", "tiny:Q8_0"]
    registry.locate("tiny:F16")  # it is used now
    assert names(registry) == ["tiny:Q8_0", "tiny:F16"]
    monkeypatch.setattr(made_files, "STATES_BYTES", 10**9 - 5 * size // 2)  # room for two
    change_settings(paths, "disk_gb", 1)
    said: list[str] = []
    registry.derive("tiny", "Q4_1", maker(content(FORMATS["Q4_1"])), note=said.append)
    assert sorted(names(registry)) == ["tiny:F16", "tiny:Q4_1"]
    assert said == ["tiny:Q8_0 was removed: formats made here may take no more (setting disk_gb)"]
    registry.choose("tiny", "F16")
    os.utime(paths.models / "tiny/variants/F16/manifest.toml", (1, 1))
    derive(registry, paths, "Q8_0", used_at=300)
    assert sorted(names(registry)) == ["tiny:F16", "tiny:Q8_0"]  # oldest, but chosen


def test_a_format_that_alone_is_too_large_is_refused_and_leaves_nothing(
    registry: Registry, model: str, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made_files, "STATES_BYTES", 10**9 - 10)
    change_settings(paths, "disk_gb", 1)
    with pytest.raises(OutOfCapacity, match="formats made here may take") as refused:
        registry.derive("tiny", "F16", maker(content(1)))
    assert "disk_gb" in refused.value.cure
    assert names(registry) == []
    assert not (paths.models / "tiny/variants/F16").exists()


def test_merged_policies_count_and_stay(registry: Registry, paths: Paths, tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(gguf({**POLICY, "general.file_type": 7}))
    registry.add(file, name="mine", recipe={"lora": "merged"})
    registry.add(file, name="yours", recipe={"lora": "none"})
    assert [(one.kind, one.name, one.size) for one in registry.made_files()] == [
        ("merged", "mine", file.stat().st_size)
    ]


def test_doctor_shows_it_and_warns_where_it_is_too_much(
    registry: Registry, model: str, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    derive(registry, paths, "F16", used_at=100)
    folder = paths.states / "somebody"
    folder.mkdir(parents=True)
    (folder / "x.state").write_bytes(bytes(3_000_000))
    monkeypatch.setattr("edge_ttp.registry.shelf.shipped_folder", lambda: registry._shipped)
    (found,) = [one for one in doctor.examine(paths) if one.name == "disk"]
    assert found.status == "ok"
    assert "1 files of what was read of users' examples (3 MB), 1 formats made here" in found.detail
    assert "of 8 GB; tiny:F16 would go first" in found.detail
    change_settings(paths, "disk_gb", 1)
    with (folder / "y.state").open("wb") as sparse:
        sparse.truncate(2 * 10**9)
    (found,) = [one for one in doctor.examine(paths) if one.name == "disk"]
    assert found.status == "warn"
    assert "models rm" in found.cure


def test_states_lie_where_the_history_keeps_them(paths: Paths) -> None:
    assert paths.states == states_folder(paths.database)
