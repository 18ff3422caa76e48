"""Trains the salience network on texts alone: which words did users take for what they wrote to an input?

No pool is needed, so that it learns from every text of train users; the pools that other networks train on are left
out, or its numbers would be better there than anywhere else.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from edge_ttp.errors import InvalidInput
from edge_ttp.reward.encoder import TextEncoder, Vectors
from edge_ttp.reward.salience import MOST_PIECES, piece_rows, spelling, user_vectors
from edge_ttp.reward.user_profile import HISTORY_ITEMS
from edge_ttp_export.course import Course
from edge_ttp_export.minilm import MiniLMEncoder, Tokens
from edge_ttp_export.salience_network import PLAIN, SalienceNetwork
from edge_ttp_export.text_files import Item
from edge_ttp_export.user_split import part_of

WEIGHTS_FILE = "salience.safetensors"
USER_ITEMS = 100
"""Newest items of one user that are learned from, so that a few users do not outweigh the others."""
BATCH = 16
RATE = 6e-4
INPUT_WORDS = 40
"""Words of the input that the output lacks, shown beside those of the output; and outputs of the same user and task."""
OWN_OUTPUTS, OTHER_OUTPUTS = 1, 4
UNKNOWN_USERS = 0.3
"""Part of the examples that are shown as a new user's."""

Key = tuple[str, int]
Row = tuple[int, int, int]
"""Task, writer, place of an item."""
Table = dict[str, tuple[float, npt.NDArray[np.int64], npt.NDArray[np.int64]]]
"""A word: whether it was written, its wordpieces, its places."""


@dataclass(frozen=True)
class Writer:
    """One train user of one task, oldest item first."""

    items: Sequence[Item]
    inputs: Vectors
    outputs: Vectors


def save_salience(folder: Path, network: SalienceNetwork) -> None:
    """Writes the trained network to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    network.collapse()
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, str(folder / WEIGHTS_FILE))


def load_salience(folder: Path) -> SalienceNetwork:
    """The network in `folder`. Raises InvalidInput where there is none."""
    try:
        state = load_file(str(folder / WEIGHTS_FILE))
        network = SalienceNetwork(len(state["pieces.weight"]))
        network.load_state_dict(state)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise InvalidInput(
            f"no salience network in {folder}: {error}", "run `edge-ttp export reward salience`"
        ) from error
    network.eval()
    return network


def train_salience(
    tasks: Sequence[Mapping[str, Sequence[Item]]],
    encoder: MiniLMEncoder,
    texts: TextEncoder,
    *,
    apart: Collection[Key],
    epochs: int,
    seed: int,
    report: Callable[[str], None],
) -> SalienceNetwork:
    """The network trained on the train users' items of `tasks` (items by user), but those of `apart` (user, order).

    `encoder` gives the states, frozen; `texts` is the runtime's encoder of the same weights.
    """
    torch.manual_seed(seed)
    source = random.Random(seed)
    examples = _Examples([_writers(users, texts, report) for users in tasks], texts, source)
    rows = [
        (task, writer, place)
        for task, writers in enumerate(examples.tasks)
        for writer, one in enumerate(writers)
        for place in range(max(1, len(one.items) - USER_ITEMS), len(one.items))
        if (one.items[place].user_id, one.items[place].order) not in apart
    ]
    if len(rows) < BATCH:
        raise InvalidInput(f"{len(rows)} items of train users are too few", "give more texts")
    network = SalienceNetwork(encoder.bert.config.vocab_size, encoder.bert.embeddings.word_embeddings.weight)
    steps = epochs * (len(rows) // BATCH)
    course = Course("salience", network.parameters(), rate=RATE, decay=0.05, steps=steps, report=report)
    network.train()
    for _ in range(epochs):
        for batch in _batches(rows, examples, source):
            ids, mask, *inputs, plain, labels, known = examples.batch(batch)
            with torch.no_grad():
                states = encoder.states(ids, mask)
            log_odds = network.log_odds(network(states, mask.to(states.dtype), *inputs), plain)
            losses = F.binary_cross_entropy_with_logits(log_odds, labels, reduction="none") * known
            loss = (losses.sum(1) / known.sum(1)).mean()
            course.step(loss)
    network.eval()
    network.collapse()
    return network


class _Examples:
    """Makes batches: the words of what was written, and others beside them."""

    def __init__(self, tasks: Sequence[Sequence[Writer]], texts: TextEncoder, source: random.Random) -> None:
        self.tasks = tasks
        self._texts, self._source, self._tokens = texts, source, Tokens()
        self._read: dict[str, tuple[dict[str, str], dict[str, list[int]]]] = {}

    def input_length(self, row: Row) -> int:
        """Characters of the row's input."""
        task, writer, place = row
        return len(self.tasks[task][writer].items[place].input)

    def batch(self, rows: Sequence[Row]) -> list[Tensor]:
        """The network's inputs (ids for states), (B, V, PLAIN) plain columns, labels, 1 where nothing is padding."""
        made = [self._example(*row) for row in rows]
        ids, mask = self._tokens([one[0] for one in made])
        most = max(len(one[1]) for one in made)
        labels, known = np.zeros((2, len(made), most), np.float32)
        plain = np.zeros((len(made), most, PLAIN), np.float32)
        words = np.zeros((len(made), most, MOST_PIECES), np.int64)
        places = np.full((len(made), most, MOST_PIECES), -1, np.int64)
        for index, (_, table, _, _) in enumerate(made):
            for row, (word, (label, pieces, at)) in enumerate(table.items()):
                labels[index, row], known[index, row] = label, 1
                words[index, row], places[index, row] = pieces, at
                count = int((at >= 0).sum())
                plain[index, row] = count > 0, math.log1p(count), len(word) / 10, math.log(int(mask[index].sum())) / 5
        users = [np.stack([user for _, _, user, _ in made]), np.stack([recalled for _, _, _, recalled in made])]
        return [ids, mask, *(torch.from_numpy(array) for array in (*users, words, places, plain, labels, known))]

    def _example(self, task: int, writer: int, place: int) -> tuple[str, Table, Vectors, Vectors]:
        source, one = self._source, self.tasks[task][writer]
        item = one.items[place]
        asked, at = self._seen(item.input)
        written, _ = self._seen(item.output)
        beside = [word for word in asked if word not in written]
        shown = {word: asked[word] for word in source.sample(beside, min(len(beside), INPUT_WORDS))}
        for _ in range(OWN_OUTPUTS):
            shown |= self._seen(source.choice(one.items).output)[0]
        for _ in range(OTHER_OUTPUTS):
            shown |= self._seen(source.choice(source.choice(self.tasks[task]).items).output)[0]
        words = {**written, **shown}
        pieces, places = piece_rows(self._texts, words, at)
        table = {word: (float(word in written), pieces[row], places[row]) for row, word in enumerate(words)}
        user, recalled = np.zeros((2, one.inputs.shape[1]), np.float32)
        if source.random() >= UNKNOWN_USERS:
            user, recalled = _user(one, place)
        return item.input, table, user, recalled

    def _seen(self, text: str) -> tuple[dict[str, str], dict[str, list[int]]]:
        """The text's words as they are spelled, and their places by token."""
        if text not in self._read:
            self._read[text] = spelling(self._texts, text)
        return self._read[text]


def _writers(users: Mapping[str, Sequence[Item]], texts: TextEncoder, report: Callable[[str], None]) -> list[Writer]:
    """The train users of one task with the vectors of what they wrote and wrote it to."""
    found = []
    for user, items in users.items():
        if part_of(user) != "train":
            continue
        newest = items[-(USER_ITEMS + HISTORY_ITEMS) :]
        vectors = texts.encode([item.input for item in newest] + [item.output for item in newest])
        found.append(Writer(newest, vectors[: len(newest)], vectors[len(newest) :]))
    report(f"salience: {len(found)} train users, {sum(len(one.items) for one in found)} items")
    return found


def _user(writer: Writer, place: int) -> tuple[Vectors, Vectors]:
    """Mean vectors of what the writer wrote before, plain and by how close the input is (UserProfile)."""
    first = max(0, place - HISTORY_ITEMS)
    return user_vectors(writer.outputs[first:place], writer.inputs[first:place], writer.inputs[place])


def _batches(rows: Sequence[Row], examples: _Examples, source: random.Random) -> list[list[Row]]:
    """All rows in a random order, those of about one length together."""
    mixed = source.sample(list(rows), len(rows))
    found = []
    for start in range(0, len(mixed), 20 * BATCH):
        near = sorted(mixed[start : start + 20 * BATCH], key=examples.input_length)
        found += [near[at : at + BATCH] for at in range(0, len(near) - BATCH + 1, BATCH)]
    return source.sample(found, len(found))
