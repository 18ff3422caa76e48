"""Writes a reward model's folder from its graphs and what training measured."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import onnx

from edge_ttp.reward.config import CONFIG_FILE, FORMAT, Distance, EncoderFiles, File, PriorWeights, RewardConfig
from edge_ttp.reward.features import CONTEXT, FEATURES
from edge_ttp.reward.word_features import WORD_FEATURES
from edge_ttp_export.checkpoint import Checkpoint
from edge_ttp_export.minilm import MAX_TOKENS, WIDTH, minilm_folder


def write_folder(
    folder: Path,
    checkpoint: Checkpoint,
    *,
    name: str,
    encoder: onnx.ModelProto,
    salience: onnx.ModelProto,
    heads: onnx.ModelProto,
    layers: int,
) -> RewardConfig:
    """Writes the three graphs, tokenizer.json and reward.json to `folder`; returns the config."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "encoder.onnx": encoder.SerializeToString(),
        "salience.onnx": salience.SerializeToString(),
        "heads.onnx": heads.SerializeToString(),
        "tokenizer.json": (minilm_folder() / "tokenizer.json").read_bytes(),
    }
    for file, data in files.items():
        (folder / file).write_bytes(data)
    described = {file: described_file(file, data) for file, data in files.items()}
    config = RewardConfig(
        format=FORMAT,
        name=name,
        encoder=EncoderFiles(
            graph=described["encoder.onnx"],
            tokenizer=described["tokenizer.json"],
            width=WIDTH,
            max_tokens=MAX_TOKENS,
            layers=layers,
        ),
        salience=described["salience.onnx"],
        heads=described["heads.onnx"],
        features=list(FEATURES),
        context=list(CONTEXT),
        words=list(WORD_FEATURES),
        weights=PriorWeights(
            mean=_rounded(checkpoint.weights), covariance=[_rounded(row) for row in checkpoint.covariance]
        ),
        distance=Distance(usual=checkpoint.usual_distance, variance=checkpoint.signal_variance),
        made=checkpoint.made,
    )
    (folder / CONFIG_FILE).write_text(to_json(config.model_dump(mode="json")), encoding="utf-8")
    return config


def to_json(value: Any) -> str:
    """One JSON text, a key per line at the top, the same for the same value."""
    body = ",\n".join(f"{json.dumps(key)}: {json.dumps(inner, ensure_ascii=False)}" for key, inner in value.items())
    return "{\n" + body + "\n}\n"


def described_file(name: str, data: bytes) -> File:
    """A file as reward.json names it."""
    return File(name=name, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


def _rounded(values: Any) -> list[float]:
    """Nine significant digits: more than FP32 has."""
    return [float(f"{value:.9g}") for value in values]
