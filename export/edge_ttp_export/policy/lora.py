"""LoRA adapters in PEFT's files: checked against their base, merged into its weights, or converted to GGUF.

An adapter adds (alpha / r) B A to a weight (Hu et al. 2021, section 4.1); with rank-stabilized scaling alpha / sqrt(r).
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from edge_ttp.errors import Cancelled, InvalidInput, ModelUnavailable
from edge_ttp_export.policy.converter import Report
from edge_ttp_export.policy.converter import run as run_converter
from edge_ttp_export.policy.policy_source import read_json, tensors_of, weight_files
from edge_ttp_export.policy.safetensors_file import Tensor, read_tensors

CONFIG_NAME, WEIGHTS_NAME = "adapter_config.json", "adapter_model.safetensors"
_PART = re.compile(r"(?:base_model\.model\.)?(.+)\.lora_([AB])(?:\.default)?\.weight$")
_UNSUPPORTED = ("use_dora", "lora_bias", "fan_in_fan_out")


@dataclass(frozen=True)
class Lora:
    """A LoRA adapter in a folder, found sound and fitting its base."""

    folder: Path
    scale: float
    """What B A is multiplied by."""
    modules: tuple[str, ...]
    """The weights of the base that it changes, as named there."""

    @property
    def files(self) -> tuple[Path, Path]:
        """Its configuration and its weights."""
        return self.folder / CONFIG_NAME, self.folder / WEIGHTS_NAME


def inspect_lora(folder: Path, base: Path) -> Lora:
    """The adapter in `folder` for the checkpoint `base`.

    Raises InvalidInput where it was made for another base or is of a kind that cannot be exported, ModelUnavailable
    for missing or damaged files.
    """
    folder = folder.expanduser().absolute()  # the converter runs in another folder
    if not folder.is_dir():
        raise ModelUnavailable(f"there is no adapter folder {str(folder)!r}", "give the folder that PEFT wrote")
    config = read_json(folder / CONFIG_NAME)
    if config.get("peft_type") != "LORA":
        raise InvalidInput(f"{folder.name!r} is an adapter of type {config.get('peft_type')}", "give a LoRA adapter")
    for option in _UNSUPPORTED:
        if config.get(option):
            raise InvalidInput(f"a LoRA adapter with {option} cannot be exported", "train one without it")
    if config.get("modules_to_save") or config.get("rank_pattern") or config.get("alpha_pattern"):
        raise InvalidInput("a LoRA adapter with patterns or saved modules cannot be exported", "train one without them")
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or not isinstance(alpha, int | float) or rank < 1:
        raise ModelUnavailable(f"{CONFIG_NAME} names no rank and alpha", "write the adapter again")
    if not (folder / WEIGHTS_NAME).is_file() and (folder / "adapter_model.bin").is_file():
        raise InvalidInput(
            "'adapter_model.bin' is a pickle, which can run any program when it is read: refused",
            "save the adapter as safetensors",
        )
    targets = fit(read_tensors(folder / WEIGHTS_NAME), tensors_of(base), rank)
    return Lora(folder, alpha / (rank**0.5 if config.get("use_rslora") else rank), tuple(sorted(targets)))


def fit(parts: dict[str, Tensor], base: dict[str, Tensor], rank: int) -> set[str]:
    """The weights of `base` that the adapter's tensors `parts` change. Raises InvalidInput where one does not fit."""
    pairs: dict[str, dict[str, Tensor]] = {}
    for name, tensor in parts.items():
        match = _PART.fullmatch(name)
        if match is None:
            raise InvalidInput(f"the adapter's tensor {name[:80]!r} is not one of LoRA", "give a LoRA adapter")
        pairs.setdefault(f"{match[1]}.weight", {})[match[2]] = tensor
    for name, pair in pairs.items():
        weight = base.get(name)
        if weight is None:
            raise InvalidInput(f"the adapter was made for another base: this one has no {name!r}", "give its own base")
        shapes = tuple(pair[side].shape if side in pair else () for side in "AB")
        if shapes != ((rank, weight.shape[-1]), (weight.shape[0], rank)):
            raise InvalidInput(
                f"the adapter was made for another base: {name!r} has shape {list(weight.shape)} here, the adapter "
                f"has {[list(shape) for shape in shapes]}",
                "give its own base",
            )
    return set(pairs)


def merge(base: Path, lora: Lora, out: Path, *, report: Report, cancel: Event | None = None) -> None:
    """Writes the checkpoint `base` with the adapter merged into its weights to the folder `out`.

    Sums are made in 32 bits and stored as the weight was. One file of weights is in memory at a time.
    """
    out.mkdir(parents=True, exist_ok=True)
    files = weight_files(base)
    parts = _parts(lora)
    for done, file in enumerate(files):
        report("merging the adapter", done, len(files))
        tensors: dict[str, torch.Tensor] = {}
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118  # no dictionary
                if cancel is not None and cancel.is_set():
                    raise Cancelled("the merge was cancelled")
                weight = opened.get_tensor(name)
                if name in parts:
                    a, b = parts[name]
                    weight = (weight.float() + lora.scale * (b.float() @ a.float())).to(weight.dtype).contiguous()
                tensors[name] = weight
        save_file(tensors, out / file.name, metadata={"format": "pt"})
    for file in base.iterdir():
        if file.is_file() and file.suffix in (".json", ".model", ".jinja", ".txt"):
            shutil.copyfile(file, out / file.name)
    report("merging the adapter", len(files), len(files))


def _parts(lora: Lora) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    found: dict[str, dict[str, torch.Tensor]] = {}
    with safe_open(lora.folder / WEIGHTS_NAME, framework="pt") as opened:
        for name in opened.keys():  # noqa: SIM118
            if match := _PART.fullmatch(name):
                found.setdefault(f"{match[1]}.weight", {})[match[2]] = opened.get_tensor(name)
    return {name: (pair["A"], pair["B"]) for name, pair in found.items()}


def convert_adapter(
    script: Path, lora: Lora, base: Path, target: Path, *, report: Report, cancel: Event | None = None
) -> None:
    """Writes the adapter as GGUF to `target` with llama.cpp's converter `script`. Raises as converter.run does."""
    arguments = [str(lora.folder.absolute()), "--base", str(base.absolute()), "--outtype", "f16"]
    run_converter(script, arguments, target=target, what="converting the adapter", report=report, cancel=cancel)
