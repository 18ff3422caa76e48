"""A reward model written anew with the same weights, its encoder in the form that is shipped today."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import onnx

from edge_ttp.reward.config import CONFIG_FILE, RewardConfig, read_config
from edge_ttp.system.output_file import prepared_output, text_output
from edge_ttp.system.output_folder import output_folder
from edge_ttp_export.encoder_forms import JudgedQuery, shipped_gates
from edge_ttp_export.export_gates import Gate, check
from edge_ttp_export.export_run import CARD_FILE, described
from edge_ttp_export.write_model import described_file, to_json

_HEADING = "## The encoder's form"
_FP32, _WHOLE = "weights in 8 bits, computed in FP32.", "weights in 8 bits, multiplied in whole numbers."


def requantize(
    folder: Path,
    pools: Sequence[JudgedQuery],
    out: Path,
    *,
    threads: int,
    report: Callable[[str], None],
    force: bool = False,
) -> list[Gate]:
    """Writes `out`/NAME/ and `out`/NAME.toml from the model in `folder`, or raises GateFailed and writes nothing.

    Weights, salience, heads and prior stay as they are. `pools` are what both encoders rank.
    """
    config, _ = read_config(folder)
    manifest = out / f"{config.name}.toml"
    prepared_output(manifest, force=force)
    encoder, gates = shipped_gates(folder, pools, threads)
    for gate in gates:
        report(f"{gate.name}: {gate.value:.4g} (limit {gate.limit:g})")
    check(gates)
    kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with output_folder(out / config.name, force=force) as target:
        for name, data in kept.items():
            (target / name).write_bytes(data)
        changed = _put_encoder(target, config, encoder)
        if CARD_FILE in kept:
            card = _card(kept[CARD_FILE].decode(), gates, len(pools))
            (target / CARD_FILE).write_text(card, encoding="utf-8")
        told = described(target, changed).to_toml()
    with text_output(manifest, force=force) as text:
        text.write(told)
    return gates


def _put_encoder(target: Path, config: RewardConfig, encoder: onnx.ModelProto) -> RewardConfig:
    data = encoder.SerializeToString()
    name = config.encoder.graph.name
    (target / name).write_bytes(data)
    described_encoder = config.encoder.model_copy(update={"graph": described_file(name, data)})
    changed = config.model_copy(update={"encoder": described_encoder})
    (target / CONFIG_FILE).write_text(to_json(changed.model_dump(mode="json")), encoding="utf-8")
    return changed


def _card(text: str, gates: Sequence[Gate], pools: int) -> str:
    """The card, with a part of its own that says what was done since it was written."""
    before, _, after = text.replace(_FP32, _WHOLE).partition("## Limits")
    before = before.partition(_HEADING)[0]
    lines = [
        _HEADING,
        "",
        "Since the numbers above were measured, `edge-ttp export reward requantize` has written the encoder anew with",
        "the same 8-bit weights: each token's activations are rounded to 7 bits of their own largest value and",
        "multiplied in whole numbers, in place of FP32. Every CPU gets the same sums, and a text's vector does not",
        "depend on the texts beside it. Against FP32 products, on",
        f"{pools} pools of tune users (here `8 bits` is this form):",
        "",
        "| gate | measured | limit |",
        "| --- | --- | --- |",
        *(f"| {gate.name} | {gate.value:.3g} | {'>=' if gate.at_least else '<='} {gate.limit:g} |" for gate in gates),
        "",
    ]
    return before + "\n".join(lines) + "\n## Limits" + after
