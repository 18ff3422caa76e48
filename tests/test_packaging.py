"""The wheel: what is in it, and that it answers a prompt when installed far from this repository."""

from __future__ import annotations

import os
import subprocess
import sys
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
from fakes.command import one_object
from fakes.real import spare_measuring
from repository import ROOT

from edge_ttp import __version__
from edge_ttp.registry import DEFAULT_POLICY, DEFAULT_REWARD

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this tree without a network."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel unpacked by pip into a folder of its own, its dependencies left where they are."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(folder), str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def names(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        return Parser().parsestr(archive.read(f"edge_ttp-{__version__}.dist-info/METADATA").decode())


def test_the_wheel_holds_every_module_and_the_marker_of_its_types(wheel: Path) -> None:
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "edge_ttp").rglob("*.py")}
    assert modules <= names(wheel)
    assert "edge_ttp/py.typed" in names(wheel)


def test_the_wheel_holds_the_shipped_models_and_the_sample_histories(wheel: Path) -> None:
    found = names(wheel)
    shipped = {
        f"edge_ttp/models/{path.relative_to(ROOT / 'models')}"
        for path in (ROOT / "models").rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    samples = {str(path.relative_to(ROOT)) for path in (ROOT / "edge_ttp" / "samples").glob("*.jsonl")}
    assert shipped
    assert samples
    assert shipped | samples <= found


def test_the_wheel_holds_nothing_that_belongs_to_one_machine(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        sizes = {item.filename: item.file_size for item in archive.infolist()}
    tops = {name.split("/")[0] for name in sizes}
    assert tops == {"edge_ttp", "edge_ttp_export", f"edge_ttp-{__version__}.dist-info"}
    models = [name for name in sizes if name.endswith(".gguf")]
    assert models == ["edge_ttp/models/voice-smollm2-135m/voice-smollm2-135m.gguf"]  # an adapter; policies are fetched
    assert not [name for name in sizes if name.endswith((".db", ".pyc", ".zst", ".log"))]
    assert not [name for name in sizes if "__pycache__" in name or "/." in name]
    assert sum(sizes.values()) < 40 * 2**20


def test_the_wheel_announces_its_command_its_plugin_and_its_licence(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        entry_points = archive.read(f"edge_ttp-{__version__}.dist-info/entry_points.txt").decode()
    assert "edge-ttp = edge_ttp.__main__:main" in entry_points
    assert "export = edge_ttp_export.cli:app" in entry_points
    assert metadata(wheel)["License-Expression"] == "Apache-2.0"
    assert f"edge_ttp-{__version__}.dist-info/licenses/LICENSE" in names(wheel)
    assert metadata(wheel)["Version"] == __version__


def test_torch_is_needed_by_the_export_extra_alone(wheel: Path) -> None:
    needed = metadata(wheel).get_all("Requires-Dist", [])
    plain = [line for line in needed if "extra ==" not in line]
    assert any(line.startswith("llama-cpp-python") for line in plain)
    for package in ("torch", "transformers", "onnx>", "optimum"):
        assert not [line for line in plain if line.startswith(package)]


@pytest.mark.real
def test_the_installed_wheel_answers_a_prompt_with_its_own_models(
    installed: Path, models_home: Path, tmp_path: Path
) -> None:
    spare_measuring(models_home)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    env = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}

    def python(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=elsewhere, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = python("-c", "import edge_ttp; print(edge_ttp.__file__)").strip()
    assert where == str(installed / "edge_ttp" / "__init__.py")
    request = ("generate", "hello", "--user", "ann", "--n", "2", "--max-tokens", "6", "--json")
    found = one_object(python("-m", "edge_ttp", *request))
    assert found["text"] == found["candidates"][found["chosen"]]["text"]
    assert found["model"] == DEFAULT_POLICY
    assert found["reward"] == DEFAULT_REWARD
    assert all(0 <= one["mean"] <= 1 and one["variance"] > 0 for one in found["candidates"])
    assert list(elsewhere.iterdir()) == []
