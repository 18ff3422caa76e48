"""One export from beginning to end: look the source over, build, measure, choose, refuse or register."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Event
from typing import Any

from edge_ttp.budget.device import cores
from edge_ttp.errors import InvalidInput
from edge_ttp.paths import Paths
from edge_ttp.policy import bindings
from edge_ttp.policy.formats import speeds
from edge_ttp.registry import Manifest, Registry
from edge_ttp.registry.manifest import file_sha256
from edge_ttp_export.policy.benefit import CANDIDATES, QUERIES
from edge_ttp_export.policy.build import Workshop
from edge_ttp_export.policy.choice import Chosen, choose, pareto
from edge_ttp_export.policy.converter import Report, converter
from edge_ttp_export.policy.format_gates import FormatLimits, MeasuredFormat, refuse
from edge_ttp_export.policy.held_out import Texts, read_texts
from edge_ttp_export.policy.imatrix_file import read_imatrix
from edge_ttp_export.policy.lora import inspect_lora
from edge_ttp_export.policy.measure import POSITIONS, Bench, Test
from edge_ttp_export.policy.policy_source import PolicySource, fingerprint, inspect
from edge_ttp_export.policy.register import Origin, free_name, register
from edge_ttp_export.policy.work_folder import work_folder

AUTO = "AUTO"
AUTO_FORMATS = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0")
"""What `auto` measures besides the unquantized file."""

# Size in relation to 16 bits, with room for tensors that the format cannot hold; only to look for disk space.
_SHARES = {"Q8_0": 0.55, "Q6_K": 0.5, "Q5_K_M": 0.48, "Q5_1": 0.48, "Q5_0": 0.45, "Q4_K_M": 0.45, "Q4_1": 0.45}


@dataclass(frozen=True)
class Order:
    """What is asked for."""

    source: Path
    quant: str = AUTO
    formats: tuple[str, ...] = AUTO_FORMATS
    """What `auto` chooses from, besides the unquantized file."""
    lora: Path | None = None
    imatrix: Path | None = None
    calibrate: Path | None = None
    data: Path | None = None
    """Held-out text for the gates; None: the sample histories."""
    user: str | None = None
    """The user of that text to take alone."""
    name: str | None = None
    licence: str | None = None
    limits: FormatLimits = field(default_factory=FormatLimits)
    positions: int = POSITIONS
    queries: int = QUERIES
    candidates: int = CANDIDATES
    rounds: int = speeds.ROUNDS
    threads: int | None = None


@dataclass(frozen=True)
class Exported:
    """What came of it."""

    manifest: Manifest
    path: Path
    rows: tuple[MeasuredFormat, ...]
    chosen: Chosen
    reference_perplexity: float | None
    conversion: dict[str, Any]


def export_policy(
    order: Order,
    paths: Paths,
    *,
    report: Report = lambda what, done, total: None,
    note: Callable[[str], None] = lambda text: None,
    cancel: Event | None = None,
) -> Exported:
    """Exports a policy into the model store.

    Raises InvalidInput and ModelUnavailable for a source that cannot be exported, GateFailed where a limit is missed,
    OutOfCapacity, ExtraMissing and Cancelled. Nothing is registered then; what was built stays only after Cancelled.
    """
    registry = Registry(paths)
    source = inspect(order.source)
    check(order, source)
    lora = inspect_lora(order.lora, source.path) if order.lora is not None else None
    name = free_name(registry, order.name, source, lora)
    script = None if source.is_gguf else converter(paths)
    texts = read_texts(order.data, order.user)
    calibration = read_texts(order.calibrate) if order.calibrate is not None else None
    if order.imatrix is not None:
        read_imatrix(order.imatrix)
    origin = Origin(
        fingerprint=fingerprint(source, cancel),
        lora="".join(file_sha256(file) for file in lora.files) if lora is not None else "",
        imatrix=_fingerprint(order.imatrix),
        calibration=_fingerprint(order.calibrate),
    )
    parts = {
        **vars(origin),
        "llama.cpp": bindings.version(),
        "data": f"{_fingerprint(order.data)} {order.user}",
        "name": source.name,
    }
    with work_folder(paths, parts, note) as folder:
        folder.need(space(source, order, merged=lora is not None), f"exporting {source.name!r}")
        shop = Workshop(source, folder, script, lora, order.threads or cores(), report, cancel)
        done = _in_folder(
            order, shop, registry=registry, name=name, origin=origin, texts=texts, calibration=calibration
        )
    for line in differences(done.conversion):
        note(line)
    return done


def _in_folder(
    order: Order,
    shop: Workshop,
    *,
    registry: Registry,
    name: str,
    origin: Origin,
    texts: Texts,
    calibration: Texts | None,
) -> Exported:
    source = shop.source
    network = cache(shop.network)
    bench = Bench(shop, Test(texts, order.positions, order.queries, order.candidates, order.rounds))
    style = bench.prepare()
    conversion = bench.conversion(network) if not source.is_gguf else {}
    imatrix = shop.imatrix(calibration, order.imatrix, network)
    network.cache_clear()  # the formats need its memory
    base = source.format
    wanted = [base, *(order.formats if order.quant == AUTO else (order.quant,))]
    files = {format: shop.quantized(format, imatrix) for format in dict.fromkeys(wanted)}
    own = source.quantized if shop.lora is None else ""  # merged weights are on no format's grid
    rows = bench.measure(files, base, own)
    if order.quant == AUTO:
        chosen = choose(rows, order.limits, base)
    else:
        chosen = Chosen(order.quant, f"{order.quant}, as asked for", pareto(rows))
    row = next(one for one in rows if one.format == chosen.format)
    refuse(row, order.limits)
    perplexity = next((one.loss.perplexity_reference for one in rows if one.loss is not None), None)
    manifest, path = register(
        registry,
        files[chosen.format][0],
        name=name,
        style=style,
        source=source,
        origin=origin,
        licence=order.licence,
        lora=shop.lora,
        imatrix=imatrix,
        rows=rows,
        chosen=chosen,
        limits=order.limits,
        conversion=conversion,
        text=texts.name,
        threads=shop.threads,
        work=shop.folder,
    )
    return Exported(manifest, path, tuple(rows), chosen, perplexity, conversion)


def differences(conversion: Mapping[str, Any]) -> list[str]:
    """One line for everything but the logits in which a conversion is not as the checkpoint."""
    lines = []
    tokens = conversion.get("tokenizer", {})
    if tokens.get("first_difference"):
        lines.append(f"the converted tokenizer differs from transformers' on {tokens['first_difference']!r}")
    if conversion.get("chat_template_kept") is False:
        lines.append("the converted chat template is not the checkpoint's")
    return lines


def check(order: Order, source: PolicySource) -> None:
    """Raises InvalidInput for an order that cannot be carried out on this source."""
    wanted: Sequence[str] = order.formats if order.quant == AUTO else (order.quant,)
    for format in wanted:
        if format not in bindings.FORMATS:
            raise InvalidInput(
                f"the format {format!r} cannot be made", f"choose auto or one of {', '.join(bindings.FORMATS)}"
            )
    if order.imatrix is not None and order.calibrate is not None:
        raise InvalidInput("--imatrix and --calibrate were both given", "give one of them")
    if source.is_gguf and order.lora is not None:
        raise InvalidInput("an adapter cannot be merged into a GGUF file", "give the checkpoint it was trained on")
    if source.is_gguf and order.calibrate is not None:
        raise InvalidInput(
            "an importance matrix cannot be computed of a GGUF file",
            "read it back first with `edge-ttp export checkpoint`, or give --imatrix",
        )
    if source.is_gguf and order.quant == source.format:
        raise InvalidInput(f"{source.path.name!r} is {source.format} already", "take it in with `edge-ttp models add`")


def space(source: PolicySource, order: Order, *, merged: bool) -> int:
    """Bytes of disk that the export needs at most, the copy in the store included."""
    full = source.size if source.is_gguf else source.full_bytes
    wanted = order.formats if order.quant == AUTO else (order.quant,)
    shares = [_SHARES.get(format, 1.0 if format in ("F16", "BF16", "F32") else 0.45) for format in wanted]
    kept = 0 if source.is_gguf else full
    return round(kept + full * (sum(shares) + max(shares)) + (source.size if merged else 0))


def _fingerprint(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return file_sha256(path)
    except OSError as error:
        raise InvalidInput(f"cannot read {str(path)!r}: {error.strerror or error}", "give a readable file") from error
