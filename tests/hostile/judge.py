"""A reward model's folder with one file of it exchanged, its manifest and config telling the truth about that."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from edge_ttp.registry import write_manifest
from edge_ttp.registry.catalog import shipped_folder

SOUND = shipped_folder() / "reward-minilm-1"
FILES = ("reward.json", "encoder.onnx", "tokenizer.json", "salience.onnx", "heads.onnx")


def exchanged(folder: Path, name: str, data: bytes) -> Path:
    """`folder` as the default reward model but for the file `name`, which is `data`."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in FILES:
        if file not in (name, "reward.json"):
            os.symlink(SOUND / file, folder / file)
    (folder / name).write_bytes(data)
    config = json.loads((SOUND / "reward.json").read_text())
    place = {"encoder.onnx": config["encoder"]["graph"], "tokenizer.json": config["encoder"]["tokenizer"]}
    entry = place.get(name) or config[name.removesuffix(".onnx")]
    entry |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "reward.json").write_text(json.dumps(config))
    write_manifest(
        folder,
        name="judge",
        kind="reward",
        files=list(FILES),
        description="x",
        licence="Apache-2.0",
        recipe={},
        measurements={},
    )
    return folder
