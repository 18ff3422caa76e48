"""An adapter for one user: trained on the first two thirds of what that user wrote, the rest held out."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Any

from edge_ttp.budget.device import cores
from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.passages import passages
from edge_ttp.paths import Paths
from edge_ttp.policy import bindings
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.system.output_folder import checked_folder, output_folder
from edge_ttp_export.policy.build import Workshop, style_of
from edge_ttp_export.policy.converter import Report, converter
from edge_ttp_export.policy.held_out import read_texts
from edge_ttp_export.policy.lora_train import LoraSettings, train_lora, write_lora
from edge_ttp_export.policy.policy_source import fingerprint, inspect
from edge_ttp_export.policy.work_folder import work_folder

_ALL = 1 << 30


def run_lora(
    base: Path,
    out: Path,
    paths: Paths,
    settings: LoraSettings,
    *,
    data: Path | None,
    user: str | None,
    threads: int | None = None,
    report: Report = lambda what, done, total: None,
    note: Callable[[str], None] = lambda text: None,
    cancel: Event | None = None,
) -> dict[str, Any]:
    """Trains an adapter of the checkpoint `base` and writes it to the new folder `out`; what was done, for the note.

    Raises InvalidInput, ModelUnavailable, ExtraMissing, OutOfCapacity, Cancelled; `out` is written last.
    """
    source = inspect(base)
    if source.is_gguf:
        raise InvalidInput("an adapter is trained on a checkpoint", "read the GGUF back: edge-ttp export checkpoint")
    checked_folder(out)
    texts = read_texts(data, user)
    script = converter(paths)
    parts = {"fingerprint": fingerprint(source, cancel), "what": "lora", "llama.cpp": bindings.version()}
    with work_folder(paths, parts, note) as folder:
        folder.need(source.full_bytes, f"preparing {source.name!r}")
        shop = Workshop(source, folder, script, None, threads or cores(), report, cancel)
        policy = LlamaPolicy(shop.full, threads=shop.threads)
        try:
            some = passages(policy, style_of(policy), texts.earlier, _ALL)
        finally:
            policy.close()
        tensors, losses = train_lora(
            shop.network(),
            some,
            settings,
            advance=lambda step, loss: report("training the adapter", step, settings.steps),
        )
        with output_folder(out) as made:
            write_lora(tensors, settings, source.path, made)
    few = max(1, len(losses) // 5)
    return {
        "folder": str(out),
        "text": texts.name,
        "passages": len(some),
        "settings": asdict(settings),
        "loss_first": statistics.fmean(losses[:few]),
        "loss_last": statistics.fmean(losses[-few:]),
    }
