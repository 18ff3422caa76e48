"""The finished file into the model store, with a manifest that says what it is made of and what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge_ttp.answer.prompt import Style
from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.policy import bindings
from edge_ttp.registry import Manifest, Registry
from edge_ttp.registry.adopt import ASSUMED_CONTEXT, PERMISSIVE_LICENCES, suggest_name
from edge_ttp.registry.gguf import read_header
from edge_ttp.registry.manifest import MANIFEST_NAME, Bundled, Kind, ModelFile, file_sha256
from edge_ttp.registry.variants import NOTICE_OF_CHANGE, processor
from edge_ttp_export.policy.choice import Chosen
from edge_ttp_export.policy.converter import RELEASE
from edge_ttp_export.policy.format_gates import FormatLimits, MeasuredFormat, gates
from edge_ttp_export.policy.imatrix_file import ImportanceMatrix
from edge_ttp_export.policy.lora import Lora
from edge_ttp_export.policy.policy_source import PolicySource
from edge_ttp_export.policy.work_folder import WorkFolder


@dataclass(frozen=True)
class Origin:
    """Fingerprints of what an export is made of; empty for what it is made without."""

    fingerprint: str
    lora: str = ""
    """SHA-256 of the adapter's configuration, followed by that of its weights."""
    imatrix: str = ""
    calibration: str = ""


def free_name(registry: Registry, wanted: str | None, source: PolicySource, lora: Lora | None) -> str:
    """The name to register under. Raises InvalidInput where it is taken or none."""
    name = wanted if wanted is not None else suggest_name(source.name + ("-lora" if lora is not None else ""))
    try:
        Manifest.model_validate({**_PROBE, "name": name})
    except ValidationError as error:
        raise InvalidInput(f"the name {name!r} {error.errors()[0]['ctx']['error']}", "give another --name") from error
    try:
        registry.manifest(name)
    except NotFound:
        return name
    raise InvalidInput(f"the name {name!r} is taken", "choose another with --name, or remove the other model first")


_PROBE: dict[str, Any] = {
    "kind": "adapter",
    "licence": "-",
    "files": [{"path": "a.gguf", "size": 1, "sha256": "0" * 64, "sources": [{"type": "bundled"}]}],
}


def register(
    registry: Registry,
    file: Path,
    *,
    name: str,
    style: Style,
    source: PolicySource,
    origin: Origin,
    licence: str | None,
    lora: Lora | None,
    imatrix: ImportanceMatrix | None,
    rows: Sequence[MeasuredFormat],
    chosen: Chosen,
    limits: FormatLimits,
    conversion: dict[str, Any],
    text: str,
    threads: int,
    work: WorkFolder,
) -> tuple[Manifest, Path]:
    """Puts the GGUF `file` into the store as the policy `name`; its manifest and where it lies now."""
    header = read_header(file)
    row = next(one for one in rows if one.format == chosen.format)
    known = licence or source.licence or str(header.metadata.get("general.license", "")) or "unknown"
    recipe: dict[str, Any] = {
        "source": source.name,
        "source_sha256": origin.fingerprint,
        "source_format": source.format,
        "architecture": source.architecture,
        "format": chosen.format,
        "converter": "none: the source is GGUF" if source.is_gguf else f"llama.cpp of llama-cpp-python {RELEASE}",
        "quantizer": f"llama_model_quantize of llama-cpp-python {bindings.version()}",
        "notice": NOTICE_OF_CHANGE,
    }
    if source.quantized:
        recipe["source_was_quantized"] = source.quantized
    if lora is not None:
        recipe |= {"lora_sha256": origin.lora[-64:], "lora_scale": lora.scale, "lora": "merged"}
    if imatrix is not None:
        recipe |= {"imatrix_text": imatrix.text, "imatrix_tokens": imatrix.tokens}
    measurements = {
        "device": processor(),
        "threads": threads,
        "text": text,
        "reason": chosen.reason,
        "pareto": list(chosen.pareto),
        "gates": [{**asdict(gate), "passed": gate.passed} for gate in gates(row, limits)],
        "formats": [one.as_dict() for one in rows],
        **({"conversion": conversion} if conversion else {}),
    }
    fields: dict[str, Any] = {
        "kind": "policy",
        "description": f"{source.name} as {chosen.format}, exported and measured on this device.",
        "licence": known,
        "licence_url": source.licence_url,
        "prompt_style": style,
        "context": header.context or ASSUMED_CONTEXT,
        "format": chosen.format,
        "derivable": known.casefold() in PERMISSIVE_LICENCES,
        "recipe": recipe,
        "measurements": measurements,
    }
    return put(registry, file, name, fields, work)


def put(registry: Registry, file: Path, name: str, fields: dict[str, Any], work: WorkFolder) -> tuple[Manifest, Path]:
    """Puts `file` into the store under a manifest with `fields`; that manifest and where the file lies now."""
    kind: Kind = fields["kind"]
    ready = work.file("ready")
    ready.mkdir(exist_ok=True)
    path = ready / (f"{name}.{fields['format']}.gguf" if fields.get("format") else f"{name}.gguf")
    path.unlink(missing_ok=True)
    path.symlink_to(file.absolute())
    entry = ModelFile(path=path.name, size=path.stat().st_size, sha256=file_sha256(path), sources=(Bundled(),))
    manifest = Manifest.model_validate({**fields, "name": name, "files": (entry,)})
    (ready / MANIFEST_NAME).write_text(manifest.to_toml(), encoding="utf-8")
    registry.add(ready, made=True)
    return registry.manifest(name), registry.locate(name, kind=kind).path
