"""Makes the shortened encoder: texts of training users, distillation, a folder that transformers can load."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from edge_ttp_export.minilm import KEPT_LAYERS, Tokens, distil, load_encoder
from edge_ttp_export.text_files import read_items
from edge_ttp_export.user_split import part_of

OUTPUTS_PER_FILE = 1500
INPUTS_PER_FILE = 700


def shorten(
    data: Sequence[Path], out: Path, *, layers: int, epochs: int, seed: int, report: Callable[[str], None]
) -> dict[str, float]:
    """Distils MiniLM to `layers` layers on texts of training users, saves it in `out`, returns how close it is.

    `cosine`: mean cosine with the full encoder's vector, on texts of tune users. `spearman`: rank correlation of the
    pairwise cosines of those texts.
    """
    student = load_encoder(layers=KEPT_LAYERS[layers])
    if layers < 6:
        distil(student, _texts(data, "train", seed), epochs=epochs, seed=seed, report=report)
    out.mkdir(parents=True, exist_ok=True)
    student.bert.save_pretrained(str(out))
    held_out = _texts(data, "tune", seed)
    ids, mask = Tokens(64)(random.Random(seed).sample(held_out, min(len(held_out), 400)))
    with torch.no_grad():
        ours, theirs = student(ids, mask), load_encoder()(ids, mask)
    upper = torch.triu_indices(len(ours), len(ours), 1)
    pairs = torch.stack([(one @ one.T)[upper[0], upper[1]] for one in (ours, theirs)])
    ranks = pairs.argsort(dim=1).argsort(dim=1).double()
    return {
        "cosine": float((ours * theirs).sum(1).mean()),
        "spearman": float(torch.corrcoef(ranks)[0, 1]),
    }


def _texts(data: Sequence[Path], part: str, seed: int) -> list[str]:
    """Outputs and inputs of one part's users, at most so many of each file."""
    chosen: list[str] = []
    source = random.Random(seed)
    for path in data:
        items = [item for user, found in read_items(path).items() if part_of(user) == part for item in found]
        chosen += [item.output for item in source.sample(items, min(len(items), OUTPUTS_PER_FILE))]
        chosen += [item.input for item in source.sample(items, min(len(items), INPUTS_PER_FILE))]
    return chosen
