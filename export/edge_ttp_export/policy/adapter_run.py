"""A LoRA adapter as a GGUF file of its own: converted, measured on its user's held-out text, registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from edge_ttp.budget.device import cores
from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.passages import passages
from edge_ttp.paths import Paths
from edge_ttp.policy import bindings
from edge_ttp.policy.formats.fidelity import PolicyScorer, compare, reference
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.registry import Manifest, Registry
from edge_ttp.registry.manifest import file_sha256
from edge_ttp.schema import LoraAdapter
from edge_ttp_export.policy.build import Workshop, style_of
from edge_ttp_export.policy.converter import ADAPTER_SCRIPT, RELEASE, Report, converter
from edge_ttp_export.policy.held_out import Texts, read_texts
from edge_ttp_export.policy.lora import convert_adapter, inspect_lora
from edge_ttp_export.policy.policy_source import fingerprint, inspect
from edge_ttp_export.policy.register import Origin, free_name, put
from edge_ttp_export.policy.work_folder import work_folder


@dataclass(frozen=True)
class Effect:
    """What an adapter changes on its user's held-out text."""

    positions: int
    perplexity: float
    """With the adapter."""
    perplexity_without: float


def measure_effect(model: Path, adapter: Path, texts: Texts, *, positions: int, threads: int, report: Report) -> Effect:
    """Perplexities of the policy `model` on the held-out items, without and with the adapter."""
    policy = LlamaPolicy(model, threads=threads)
    try:
        some = passages(policy, style_of(policy), texts.held_out, positions)
    finally:
        policy.close()
    total = sum(len(passage.scored) for passage in some)
    with PolicyScorer(model, threads=threads) as scorer:
        plain = reference(scorer, some, advance=lambda done: report("reading without the adapter", done, total))
    with PolicyScorer(model, threads=threads, adapters=(LoraAdapter(path=str(adapter)),)) as scorer:
        found = compare(scorer, plain, advance=lambda done: report("reading with the adapter", done, total))
    return Effect(found.positions, found.perplexity, found.perplexity_reference)


def export_adapter(
    base: Path,
    lora: Path,
    paths: Paths,
    *,
    name: str | None,
    licence: str | None,
    data: Path | None,
    user: str | None,
    positions: int,
    threads: int | None = None,
    report: Report = lambda what, done, total: None,
    note: Callable[[str], None] = lambda text: None,
    cancel: Event | None = None,
) -> tuple[Manifest, Path, Effect]:
    """Converts the adapter in `lora` for the checkpoint `base` and registers it; its manifest, its file, its effect.

    Raises as export_policy does.
    """
    registry = Registry(paths)
    source = inspect(base)
    if source.is_gguf:
        raise InvalidInput("an adapter is converted with the checkpoint it was trained on", "give that folder")
    inspected = inspect_lora(lora, source.path)
    wanted = free_name(registry, name, source, inspected)
    scripts = [converter(paths), converter(paths, ADAPTER_SCRIPT)]
    texts = read_texts(data, user)
    used = threads or cores()
    origin = Origin(fingerprint(source, cancel), lora="".join(file_sha256(file) for file in inspected.files))
    parts = {**vars(origin), "what": "adapter", "llama.cpp": bindings.version(), "data": texts.name}
    with work_folder(paths, parts, note) as folder:
        folder.need(source.full_bytes + (64 << 20), f"exporting the adapter of {source.name!r}")
        shop = Workshop(source, folder, scripts[0], None, used, report, cancel)
        path = folder.made(
            "adapter.gguf",
            lambda partial: convert_adapter(scripts[1], inspected, source.path, partial, report=report, cancel=cancel),
        )
        effect = measure_effect(shop.full, path, texts, positions=positions, threads=used, report=report)
        fields: dict[str, Any] = {
            "kind": "adapter",
            "description": f"LoRA adapter for {source.name}, exported and measured on this device.",
            "licence": licence or source.licence or "unknown",
            "licence_url": source.licence_url,
            "recipe": {
                "base": source.name,
                "base_sha256": origin.fingerprint,
                "architecture": source.architecture,
                "lora_sha256": origin.lora[-64:],
                "converter": f"llama.cpp of llama-cpp-python {RELEASE}",
            },
            "measurements": {"text": texts.name, "effect": vars(effect)},
        }
        manifest, stored = put(registry, path, wanted, fields, folder)
    return manifest, stored, effect
