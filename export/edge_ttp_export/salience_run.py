"""One training of the salience network from files to its folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from edge_ttp_export.graphs import encoder_graphs
from edge_ttp_export.pool_shards import read_pools
from edge_ttp_export.text_files import read_items
from edge_ttp_export.train_salience import save_salience, train_salience


def run_salience(
    data: Sequence[Path],
    encoder: Path,
    out: Path,
    *,
    pools: Sequence[Path],
    epochs: int,
    seed: int,
    report: Callable[[str], None],
) -> int:
    """Trains on the train users' texts in `data` and writes the network to `out`.

    Returns how many items were left out, since the files of `pools` hold pools drawn for them.
    """
    graphs = encoder_graphs(encoder)
    apart = {(record["user_id"], record["order"]) for file in pools for record in read_pools(file)[1]}
    tasks = [read_items(path) for path in data]
    network = train_salience(
        tasks, graphs.torch, graphs.runtime(), apart=apart, epochs=epochs, seed=seed, report=report
    )
    save_salience(out, network)
    return len(apart)
