"""Trains the word network: is a word that the candidates use in what the user really wrote?"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from edge_ttp_export.examples import LabelledPool
from edge_ttp_export.network import WordNetwork

EPOCHS = 30
BATCH = 2048
DRAWS = 3
"""Random smaller pools that each pool is cut to, since some columns change with the pool."""


def train_words(network: WordNetwork, pools: Sequence[LabelledPool], seed: int) -> float:
    """Fits `network` to the words of `pools` and freezes it; returns the last epoch's mean cross-entropy in nats.

    Every pool weighs the same, however many words its candidates use.
    """
    source = random.Random(seed)
    rows, labels, weights = [], [], []
    for pool in pools:
        written = set(pool.reference)
        names = list(dict.fromkeys(word for tokens in pool.encoded.words for word in tokens))
        found = np.array([word in written for word in names], np.float32)
        for draw in range(DRAWS):
            size = pool.size if draw == 0 else source.randint(2, pool.size)
            chosen = source.sample(range(pool.size), size)
            table, _ = pool.words.within(chosen)
            used = np.flatnonzero(pool.words.membership[chosen].sum(axis=0))
            if len(used) == 0:
                continue
            rows.append(table)
            labels.append(found[used])
            weights.append(np.full(len(used), 1 / len(used), np.float32))
    inputs = torch.from_numpy(np.concatenate(rows))
    wanted, weight = (torch.from_numpy(np.concatenate(parts)) for parts in (labels, weights))
    weight /= weight.mean()
    network.standardize(inputs)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.05)
    total = 0.0
    network.train()
    for _ in range(EPOCHS):
        order, total = torch.randperm(len(inputs)), 0.0
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            loss = F.binary_cross_entropy_with_logits(network(inputs[some]), wanted[some], weight[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(some)
    network.eval()
    network.requires_grad_(False)
    return total / len(inputs)
