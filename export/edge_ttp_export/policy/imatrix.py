"""The importance matrix of a checkpoint: the squared activations before every weight, on text of the user's own.

llama.cpp's quantizer rounds each row so that the error weighted with these numbers is least. They are what its own
tool `llama-imatrix` collects, gathered by forward hooks in torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModelForCausalLM

from edge_ttp.errors import InvalidInput, ModelUnavailable
from edge_ttp_export.policy.imatrix_file import ImportanceMatrix

MIN_TOKENS = 256
"""Fewest tokens of text that an importance matrix is computed on."""

# Linear layers of the Llama, Gemma and Qwen families -> names in GGUF (gguf.tensor_mapping).
_LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.(?:self_attn|mlp)\.(\w+)$")
_NAMES = {
    "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output",
    "qkv_proj": "attn_qkv", "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down",
}  # fmt: skip


def gguf_name(module: str, *, tied: bool = False) -> str | None:
    """The name in GGUF of the weight of a linear layer, None where it has none here.

    `tied`: the last layer's weight is the embedding.
    """
    if module == "lm_head":
        return "token_embd.weight" if tied else "output.weight"
    match = _LAYER.search(module)
    name = _NAMES.get(match[2]) if match else None
    return f"blk.{match[1]}.{name}.weight" if match and name else None


def load_network(folder: Path) -> Any:
    """The checkpoint in `folder` as a torch network in 32 bits, in evaluation. Raises ModelUnavailable."""
    try:
        network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    except (ValueError, OSError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelUnavailable(f"transformers cannot load {folder.name!r} ({reason})", "check its files") from error
    return network.eval()


class _Sums:
    """Running sums of squared inputs for the linear layers of a network, in 64 bits."""

    def __init__(self, network: Any) -> None:
        self.squares: dict[str, npt.NDArray[np.float64]] = {}
        self.tokens: dict[str, int] = {}
        tied = bool(network.config.tie_word_embeddings)
        self._handles = [
            module.register_forward_pre_hook(self._gather(name))
            for path, module in network.named_modules()
            if isinstance(module, torch.nn.Linear) and (name := gguf_name(path, tied=tied)) is not None
        ]

    def _gather(self, name: str) -> Callable[[Any, tuple[torch.Tensor, ...]], None]:
        def hook(module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
            rows = inputs[0].detach().reshape(-1, inputs[0].shape[-1]).float()
            sums = (rows * rows).sum(dim=0, dtype=torch.float64).numpy()
            self.squares[name] = self.squares.get(name, 0) + sums
            self.tokens[name] = self.tokens.get(name, 0) + len(rows)

        return hook

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()


def compute_imatrix(
    network: Any, texts: Sequence[Sequence[int]], *, text: str, advance: Callable[[int], None] | None = None
) -> ImportanceMatrix:
    """The importance matrix of `network` on the token sequences `texts`, each read on its own.

    `text` names them. `advance` gets the tokens read so far. Raises InvalidInput for too little text.
    """
    total = sum(map(len, texts))
    if total < MIN_TOKENS:
        raise InvalidInput(f"the calibration text has {total} tokens", f"give {MIN_TOKENS} or more")
    sums = _Sums(network)
    done = 0
    try:
        with torch.inference_mode():
            for tokens in texts:
                network(input_ids=torch.tensor([list(tokens)]), use_cache=False)
                done += len(tokens)
                if advance is not None:
                    advance(done)
    finally:
        sums.close()
    if not sums.squares:
        raise InvalidInput("no layer of this architecture is known to the importance matrix", "leave --calibrate out")
    columns = {name: (squares / sums.tokens[name]).astype(np.float32) for name, squares in sums.squares.items()}
    return ImportanceMatrix(columns, total, text, chunk=max(map(len, texts)))
