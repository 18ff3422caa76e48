"""The weights of an adapter that a training goes on from: PEFT's files, or the GGUF that was made of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from gguf import GGUFReader
from safetensors.torch import load_file

from edge_ttp.errors import InvalidInput, ModelUnavailable
from edge_ttp_export.policy.lora import CONFIG_NAME, WEIGHTS_NAME, fit, inspect_lora
from edge_ttp_export.policy.lora_train import LoraSettings
from edge_ttp_export.policy.policy_source import read_json, tensors_of
from edge_ttp_export.policy.safetensors_file import Tensor

_NAME = re.compile(r"blk\.(\d+)\.(\w+)\.weight\.lora_([ab])")
_PROJECTIONS = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}  # fmt: skip


def starting_weights(path: Path, base: Path, settings: LoraSettings) -> dict[str, torch.Tensor]:
    """The adapter at `path`, a PEFT folder or a GGUF file, in PEFT's names, 32 bits, for the checkpoint `base`.

    Raises InvalidInput where it is of another base, rank or alpha than `settings`, ModelUnavailable where it cannot
    be read.
    """
    if path.is_dir():
        lora = inspect_lora(path, base)
        rank = int(read_json(path / CONFIG_NAME)["r"])
        _same(rank, lora.scale * rank, settings)
        return {name: tensor.float() for name, tensor in load_file(path / WEIGHTS_NAME).items()}
    tensors, alpha, permuted = _read(path)
    rank = next((one.shape[0] for name, one in tensors.items() if name.endswith("lora_A.weight")), 0)
    fit({name: Tensor("F32", tuple(one.shape)) for name, one in tensors.items()}, tensors_of(base), rank)
    _same(rank, alpha, settings)
    if permuted:
        _put_in_order(tensors, json.loads((base / "config.json").read_text(encoding="utf-8")))
    return tensors


def weights_file(path: Path) -> Path:
    """The file that holds the adapter's weights."""
    return path / WEIGHTS_NAME if path.is_dir() else path


def _same(rank: int, alpha: float, settings: LoraSettings) -> None:
    if (rank, alpha) != (settings.rank, settings.alpha):
        raise InvalidInput(f"that adapter has rank {rank} and alpha {alpha:g}", f"train with --rank {rank}")


def _read(path: Path) -> tuple[dict[str, torch.Tensor], float, bool]:
    """Tensors by PEFT's names, alpha, and whether rows stand in llama.cpp's order."""
    try:
        reader = GGUFReader(path)
        alpha = float(reader.fields["adapter.lora.alpha"].parts[-1][0])
        architecture = bytes(reader.fields["general.architecture"].parts[-1]).decode()
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise ModelUnavailable(
            f"{path.name!r} is no adapter ({str(error)[:100]})", "give a PEFT folder, or an adapter's GGUF"
        ) from error
    found = {}
    for tensor in reader.tensors:
        match = _NAME.fullmatch(tensor.name)
        if match is None or match[2] not in _PROJECTIONS:
            raise InvalidInput(f"the adapter changes {tensor.name[:80]!r}, which is not trained here", "begin anew")
        name = f"base_model.model.model.layers.{match[1]}.{_PROJECTIONS[match[2]]}.lora_{match[3].upper()}.weight"
        found[name] = torch.tensor(tensor.data.astype("float32"))
    return found, alpha, architecture == "llama"


def _put_in_order(tensors: dict[str, torch.Tensor], config: dict[str, int]) -> None:
    """Undoes what the converter does to queries and keys of this architecture (LlamaModel.permute)."""
    heads = config["num_attention_heads"]
    for name, tensor in tensors.items():
        if name.endswith(("q_proj.lora_B.weight", "k_proj.lora_B.weight")):
            count = heads if ".q_proj." in name else config.get("num_key_value_heads", heads)
            rows = tensor.shape[0] // count // 2
            tensors[name] = tensor.reshape(count, rows, 2, -1).swapaxes(1, 2).reshape(tensor.shape).contiguous()
