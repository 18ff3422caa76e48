"""torch -> ONNX: the encoder, and the heads with the pool as the only dynamic dimension beside the history."""

from __future__ import annotations

import onnx
import torch
from torch import Tensor, nn

from edge_ttp.reward import salience
from edge_ttp.reward.features import CONTEXT, FEATURES
from edge_ttp.reward.model import HEADS_INPUTS, HEADS_OUTPUTS
from edge_ttp.reward.salience import MOST_PIECES
from edge_ttp.reward.word_features import WORD_FEATURES
from edge_ttp_export.minilm import WIDTH, MiniLMEncoder
from edge_ttp_export.network import Batch, RewardNetwork
from edge_ttp_export.optimum_graphs import export_graph
from edge_ttp_export.salience_network import SalienceNetwork


class OnePool(nn.Module):  # type: ignore[misc]
    """The network for a single pool without padding, with the inputs and outputs that the runtime knows."""

    def __init__(self, network: RewardNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(  # noqa: PLR0917 - the exporter passes inputs by position
        self,
        candidates: Tensor,
        source: Tensor,
        history_outputs: Tensor,
        history_inputs: Tensor,
        history_mask: Tensor,
        features: Tensor,
        context: Tensor,
        words: Tensor,
        membership: Tensor,
    ) -> tuple[Tensor, ...]:
        """mean, log_variance, phi, distance, offset, offset_log_variance of HEADS_OUTPUTS."""
        heads = self.network(
            Batch(
                candidates=candidates.unsqueeze(0),
                pool_mask=torch.ones_like(features[:, 0]).unsqueeze(0),
                source=source.unsqueeze(0),
                outputs=history_outputs.unsqueeze(0),
                inputs=history_inputs.unsqueeze(0),
                history_mask=history_mask.unsqueeze(0),
                features=features.unsqueeze(0),
                context=context.unsqueeze(0),
                words=words.unsqueeze(0),
                membership=membership.unsqueeze(0),
            )
        )
        return (
            (heads.offset.unsqueeze(1) + heads.difference)[0],
            heads.log_variance[0],
            heads.phi[0],
            heads.distance[0],
            heads.offset,
            heads.offset_log_variance,
        )


class VectorAndStates(nn.Module):  # type: ignore[misc]
    """The encoder with both of its outputs."""

    def __init__(self, encoder: MiniLMEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """(N, WIDTH) vectors, (N, T, WIDTH) states."""
        states = self.encoder.states(input_ids, attention_mask)
        return self.encoder.pooled(states, attention_mask), states


def export_encoder(encoder: MiniLMEncoder) -> onnx.ModelProto:
    """The encoder as FP32 ONNX; batch and length are dynamic."""
    ids = torch.ones(2, 8, dtype=torch.long)
    axes = {name: {0: "n", 1: "t"} for name in ("input_ids", "attention_mask", "states")} | {"embedding": {0: "n"}}
    inputs, outputs = ("input_ids", "attention_mask"), ("embedding", "states")
    return export_graph(VectorAndStates(encoder).eval(), (ids, torch.ones_like(ids)), inputs, outputs, axes)


def export_salience(network: SalienceNetwork) -> onnx.ModelProto:
    """The salience network as FP32 ONNX for one input; its tokens and the words are dynamic."""
    words = torch.ones(1, 3, MOST_PIECES, dtype=torch.long)
    example = (
        torch.randn(1, 5, WIDTH),
        torch.ones(1, 5),
        torch.randn(1, WIDTH),
        torch.randn(1, WIDTH),
        words,
        torch.zeros_like(words),
    )
    axes = {name: {1: "t"} for name in ("states", "mask")} | {
        name: {1: "w"} for name in ("words", "places", "salience")
    }
    return export_graph(network.eval(), example, salience.INPUTS, salience.OUTPUTS, axes)


def export_heads(network: RewardNetwork) -> onnx.ModelProto:
    """The heads as FP32 ONNX for one pool; the numbers of candidates, history items and words are dynamic."""
    example = (
        torch.randn(3, WIDTH),
        torch.randn(WIDTH),
        torch.randn(5, WIDTH),
        torch.randn(5, WIDTH),
        torch.ones(5),
        torch.randn(3, len(FEATURES)),
        torch.randn(len(CONTEXT)),
        torch.randn(7, len(WORD_FEATURES)),
        torch.ones(3, 7),
    )
    axes = {name: {0: "n"} for name in ("candidates", "features", *HEADS_OUTPUTS[:4])}
    axes |= {"words": {0: "w"}, "membership": {0: "n", 1: "w"}}
    axes |= {name: {0: "h"} for name in ("history_outputs", "history_inputs", "history_mask")}
    return export_graph(OnePool(network).eval(), example, HEADS_INPUTS, HEADS_OUTPUTS, axes)
