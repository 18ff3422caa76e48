"""What reads texts, as bytes: FP32 graphs, graphs with 8-bit weights, and the runtime's parts made of either."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from edge_ttp.errors import InvalidInput
from edge_ttp.reward.encoder import TextEncoder
from edge_ttp.reward.salience import Salience
from edge_ttp.reward.session import default_threads
from edge_ttp_export.minilm import MAX_TOKENS, WIDTH, MiniLMEncoder, load_encoder, minilm_folder
from edge_ttp_export.onnx_export import export_encoder, export_salience
from edge_ttp_export.quantize import quantize_weights, whole_products
from edge_ttp_export.salience_network import SalienceNetwork
from edge_ttp_export.text_files import file_sha256
from edge_ttp_export.train_salience import WEIGHTS_FILE, load_salience

_NAME = "the model in training"


@dataclass(frozen=True)
class EncoderGraphs:
    """One encoder in three forms."""

    torch: MiniLMEncoder
    full: onnx.ModelProto
    small: onnx.ModelProto

    def runtime(self, *, small: bool = True) -> TextEncoder:
        """The runtime's encoder, in whole numbers or in FP32."""
        graph = self.small if small else self.full
        return TextEncoder(
            graph.SerializeToString(),
            (minilm_folder() / "tokenizer.json").read_bytes(),
            name=_NAME,
            fingerprint="small" if small else "full",
            width=WIDTH,
            max_tokens=MAX_TOKENS,
            threads=default_threads(),
        )


@dataclass(frozen=True)
class Reader:
    """An encoder and the salience network made for it, each in three forms."""

    encoder: EncoderGraphs
    torch: SalienceNetwork
    full: onnx.ModelProto
    small: onnx.ModelProto

    def runtime(self, *, small: bool = True) -> Salience:
        """The runtime's salience on its encoder, with 8-bit weights or in FP32."""
        graph = self.small if small else self.full
        encoder = self.encoder.runtime(small=small)
        return Salience(graph.SerializeToString(), encoder, name=_NAME, threads=default_threads())


def encoder_graphs(folder: Path) -> EncoderGraphs:
    """The graphs of the encoder saved in `folder` by `edge-ttp export reward encoder`."""
    if not (folder / "config.json").is_file():
        raise InvalidInput(f"no encoder in {folder}", "run `edge-ttp export reward encoder`")
    encoder = load_encoder(folder)
    full = export_encoder(encoder)
    return EncoderGraphs(encoder, full, whole_products(quantize_weights(full)))


@dataclass(frozen=True)
class ReaderFolders:
    """Where a reader's networks are saved."""

    encoder: Path
    """Made by `edge-ttp export reward encoder`."""
    salience: Path
    """Made by `edge-ttp export reward salience`."""

    def graphs(self) -> Reader:
        """The graphs of both."""
        network = load_salience(self.salience)
        full = export_salience(network)
        return Reader(encoder_graphs(self.encoder), network, full, quantize_weights(full))

    def fingerprints(self) -> dict[str, str]:
        """The sha256 of both networks' weights."""
        return {
            "encoder_sha256": file_sha256(self.encoder / "model.safetensors"),
            "salience_sha256": file_sha256(self.salience / WEIGHTS_FILE),
        }
