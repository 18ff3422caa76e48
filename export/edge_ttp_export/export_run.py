"""One export: graphs, gates on tune users, measurements on report users, and only then the files."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_ttp.registry.manifest import Manifest, describe_files
from edge_ttp.reward.config import CONFIG_FILE, RewardConfig
from edge_ttp.reward.model import RewardModel
from edge_ttp.reward.session import default_threads
from edge_ttp.system.output_file import prepared_output, text_output
from edge_ttp.system.output_folder import output_folder
from edge_ttp_export.card import model_card
from edge_ttp_export.checkpoint import load_checkpoint
from edge_ttp_export.evaluate_run import evaluate_files
from edge_ttp_export.examples import load_pools
from edge_ttp_export.export_gates import Gate, check, quantization_gates, torch_gates
from edge_ttp_export.graphs import ReaderFolders
from edge_ttp_export.onnx_export import export_heads
from edge_ttp_export.write_model import to_json, write_folder

CARD_FILE = "MODEL_CARD.md"
MEASURED_FILE = "measured.json"


def run_export(
    files: Sequence[Path],
    data: Sequence[Path],
    reader: ReaderFolders,
    trained: Path,
    out: Path,
    *,
    name: str,
    report: Callable[[str], None],
    force: bool = False,
) -> list[Gate]:
    """Writes `out`/NAME/ and `out`/NAME.toml and returns the gates, or raises GateFailed and writes nothing.

    Raises InvalidInput, before anything is done, where one of them is there already and `force` is not set.
    """
    manifest = out / f"{name}.toml"
    prepared_output(manifest, force=force)
    graphs, checkpoint = reader.graphs(), load_checkpoint(trained)
    heads = export_heads(checkpoint.network)
    with (
        output_folder(out / name, force=force) as target,
        tempfile.TemporaryDirectory(prefix="edge-ttp-export-") as temporary,
    ):
        folders = {kind: Path(temporary) / kind for kind in ("full", "small")}
        layers = graphs.encoder.torch.layers
        for kind, encodes, reads in (
            ("full", graphs.encoder.full, graphs.full),
            ("small", graphs.encoder.small, graphs.small),
        ):
            config = write_folder(
                folders[kind], checkpoint, name=name, encoder=encodes, salience=reads, heads=heads, layers=layers
            )
        full, small = (RewardModel.load(folders[kind], threads=default_threads()) for kind in ("full", "small"))
        tune = []
        for model in (full, small):
            pools, _, _ = load_pools(files, data, model.salience, report, parts={"tune"})
            tune.append(pools)
        gates = torch_gates(graphs, checkpoint.network, full, tune[0])
        gates += quantization_gates(full, small, *tune)
        for gate in gates:
            report(f"{gate.name}: {gate.value:.4g} (limit {gate.limit:g})")
        check(gates)
        measured = evaluate_files(small, files, data, report)
        folder = folders["small"]
        (folder / MEASURED_FILE).write_text(to_json(measured), encoding="utf-8")
        (folder / CARD_FILE).write_text(model_card(config, gates, measured), encoding="utf-8")
        for file in sorted(folder.iterdir()):
            shutil.copyfile(file, target / file.name)
        told = described(target, config).to_toml()
    with text_output(manifest, force=force) as text:
        text.write(told)
    return gates


def described(folder: Path, config: RewardConfig) -> Manifest:
    """The manifest of the reward model in `folder`."""
    needed = [CONFIG_FILE, config.encoder.graph.name, config.encoder.tokenizer.name]
    needed += [config.salience.name, config.heads.name]
    return Manifest(
        name=config.name,
        kind="reward",
        description=f"Probabilistic reward model, MiniLM encoder of {config.encoder.layers} layers. See {CARD_FILE}.",
        licence="Apache-2.0",
        licence_url="https://www.apache.org/licenses/LICENSE-2.0",
        files=describe_files(folder, needed),
    )
