"""The converter, fetched once per machine, and a checkpoint with what was converted of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_ttp.paths import locate

pytest.importorskip("torch", reason="needs the export extra")

from edge_ttp_export.policy import converter

from . import checkpoints

MODELS_HOME = Path(os.environ.get("EDGE_TTP_TEST_MODELS", Path(__file__).parents[3] / ".edge-ttp"))
CONVERTER = locate(MODELS_HOME).cache / f"converter-{converter.RELEASE}"


@pytest.fixture(autouse=True)
def _converter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(converter.FOLDER_VARIABLE, str(CONVERTER))


@pytest.fixture(scope="session")
def script() -> Path:
    """llama.cpp's converter of models."""
    path = CONVERTER / converter.MODEL_SCRIPT
    if not path.is_file():
        pytest.fail(f"the converter is not below {MODELS_HOME}: run `make converter`")
    return path


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama. Read only."""
    return checkpoints.write_checkpoint(tmp_path_factory.mktemp("tiny") / "tiny-llama")


@pytest.fixture(scope="session")
def converted(checkpoint: Path, script: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Llama as an F16 GGUF file. Read only."""
    target = tmp_path_factory.mktemp("converted") / "full.gguf"
    converter.run(
        script, [str(checkpoint), "--outtype", "f16"], target=target, what="converting", report=lambda *_: None
    )
    return target
