"""The encoder as bytes: its FP32 graph, its graph with 8-bit weights, and the runtime's encoder made of either."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from edge_ttp.encoder import TextEncoder
from edge_ttp.errors import InvalidInput
from edge_ttp.onnx_session import default_threads
from edge_ttp_export.minilm import MAX_TOKENS, WIDTH, Encoder, load_encoder, minilm_folder
from edge_ttp_export.onnx_export import export_encoder
from edge_ttp_export.quantize import quantize_weights


@dataclass(frozen=True)
class EncoderGraphs:
    """One encoder in three forms."""

    torch: Encoder
    full: onnx.ModelProto
    small: onnx.ModelProto

    def runtime(self, *, small: bool = True) -> TextEncoder:
        """The runtime's encoder, with 8-bit weights or in FP32."""
        graph = self.small if small else self.full
        return TextEncoder(
            graph.SerializeToString(),
            (minilm_folder() / "tokenizer.json").read_bytes(),
            name="the encoder in training",
            fingerprint="small" if small else "full",
            width=WIDTH,
            max_tokens=MAX_TOKENS,
            threads=default_threads(),
        )


def encoder_graphs(folder: Path) -> EncoderGraphs:
    """The graphs of the encoder saved in `folder` by `edge-ttp export reward encoder`."""
    if not (folder / "config.json").is_file():
        raise InvalidInput(f"no encoder in {folder}", "run `edge-ttp export reward encoder`")
    encoder = load_encoder(folder)
    full = export_encoder(encoder)
    return EncoderGraphs(encoder, full, quantize_weights(full))
