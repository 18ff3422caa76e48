"""Trains the network that puts small words back into notes (edge_ttp.answer.restoring), on train users' texts.

Every text gives its places for nothing: its plain version says which words stay, and what stood between them is what
the network has to tell. Half of the texts are shown without their author's rates, so that it works for a newcomer too.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from edge_ttp.answer.restoring import (
    AROUND,
    UNKNOWN,
    Gap,
    against_usual,
    ending,
    gaps,
    known_pieces,
    numbered,
)
from edge_ttp.answer.small_words import language_of
from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.corpus import read_users, task_file
from edge_ttp_export.policy.voice_texts import TRAIN, TUNE

WORDS, ENDINGS = 10_000, 1_500
"""Most words and endings that the network knows."""
LEAST_USERS = 3
"""Users who wrote a word that is taken in: what fewer wrote may tell of them."""
WORD_SIZE, ENDING_SIZE, HIDDEN = 32, 16, 160
BATCH = 2048
RATE = 3e-3
WITHOUT_RATES, WITHOUT_WORD = 0.5, 0.05
"""Shares of places shown without their author's rates, and of words shown as unknown."""
_LONGEST = 3000

Report = Callable[[str], None]


@dataclass(frozen=True)
class _GapText:
    """The places of one text; the author where the text is theirs and not what they were given."""

    author: str | None
    gaps: tuple[Gap, ...]


def run_restoring(
    data: Path, tasks: Sequence[str], language: str, *, epochs: int, seed: int, report: Report
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays of the network's file, and what was measured: losses of train and tune users, in nats a place.

    Raises InvalidInput where the corpus has no text of the language.
    """
    pieces = known_pieces(language)
    train = list(_read(data, tasks, language, pieces, TRAIN))
    tune = list(_read(data, tasks, language, pieces, TUNE, own=True))
    if not train or not tune:
        raise InvalidInput(f"the corpus has no texts in {language!r} of train and tune users", "name other tasks")
    report(f"{sum(len(one.gaps) for one in train):,} places of {len(train):,} texts")
    torch.manual_seed(seed)
    known = _Known.of(train, pieces)
    network = _Network(known)
    losses = _fit(network, known, train, epochs=epochs, seed=seed, report=report)
    measured = {
        "places": sum(len(one.gaps) for one in train),
        "users": len({one.author for one in train if one.author}),
        "loss_train": round(losses[-1], 4),
        "loss_tune": round(_loss(network, known, tune), 4),
        "loss_tune_of_rates_alone": round(_loss(None, known, tune), 4),
    }
    return network.arrays(known), measured


def _read(
    data: Path, tasks: Sequence[str], language: str, pieces: Sequence[str], tenths: Sequence[int], *, own: bool = False
) -> Iterator[_GapText]:
    """The texts of these users, and what they were given to answer unless `own`; each once."""
    known, seen = frozenset(pieces), set[str]()
    for task in tasks:
        for user, items in read_users(task_file(data, task), tenths=tenths).items():
            for item in items:
                for author, text in ((f"{task}/{user}", item.output), (None, "" if own else item.input)):
                    part = text[:_LONGEST]
                    if part in seen or language_of(part) != language:
                        continue
                    seen.add(part)
                    found = tuple(gaps(part, language, known))
                    if found:
                        yield _GapText(author, found)


@dataclass(frozen=True)
class _Known:
    """What the network has numbers for, and how often pieces stand."""

    pieces: dict[str, int]
    words: dict[str, int]
    endings: dict[str, int]
    usual: Any
    order: Any

    @classmethod
    def of(cls, texts: Sequence[_GapText], pieces: Sequence[str]) -> _Known:
        number = {piece: at for at, piece in enumerate(pieces)}
        words, authors = Counter[str](), defaultdict[str, set[str]](set)
        counts, before, total = np.zeros(len(pieces)), np.full((len(pieces), len(pieces)), 0.5), 0
        for text in texts:
            for gap in text.gaps:
                total += 1
                word = gap.around[AROUND]  # each word of a line stands once behind a place
                words[word] += 1
                authors[word].add(text.author or "")
                said = [number[piece] for piece in dict.fromkeys(gap.pieces)]
                counts[said] += 1
                for at, one in enumerate(said):
                    before[one, said[at + 1 :]] += 1
        shared = [word for word, _ in words.most_common() if len(authors[word]) >= LEAST_USERS and word not in "$"]
        ends = Counter[str]()
        for word, count in words.items():
            if word != "$":
                ends[ending(word)] += count
        return cls(
            number,
            {word: at + UNKNOWN + 1 for at, word in enumerate(shared[:WORDS])},
            {one: at + UNKNOWN + 1 for at, (one, _) in enumerate(ends.most_common(ENDINGS))},
            (counts / max(1, total)).astype(np.float32),
            (before / (before + before.T)).astype(np.float32),
        )


class _Network(nn.Module):  # type: ignore[misc]
    """Words around a place in, logits of its pieces out."""

    def __init__(self, known: _Known) -> None:
        super().__init__()
        self.words = nn.Embedding(len(known.words) + UNKNOWN + 1, WORD_SIZE)
        self.endings = nn.Embedding(len(known.endings) + UNKNOWN + 1, ENDING_SIZE)
        for table in (self.words, self.endings):
            nn.init.normal_(table.weight, std=0.1)
        self.hidden = nn.Linear(2 * AROUND * (WORD_SIZE + ENDING_SIZE), HIDDEN)
        self.out = nn.Linear(HIDDEN, len(known.pieces))
        self.out.bias.data = torch.log(torch.from_numpy(known.usual) + 1e-5)
        self.own = nn.Parameter(torch.full((len(known.pieces),), 0.3))

    def forward(self, words: torch.Tensor, endings: torch.Tensor, rates: torch.Tensor) -> torch.Tensor:
        """(B, S) logits of B places."""
        joined = torch.cat([self.words(words).flatten(1), self.endings(endings).flatten(1)], dim=1)
        found: torch.Tensor = self.out(torch.relu(self.hidden(joined))) + self.own * rates
        return found

    def arrays(self, known: _Known) -> dict[str, Any]:
        """For the file, in 16 bits."""
        held = {
            "word_vectors": self.words.weight,
            "ending_vectors": self.endings.weight,
            "hidden": self.hidden.weight,
            "hidden_bias": self.hidden.bias,
            "out": self.out.weight,
            "out_bias": self.out.bias,
            "own": self.own,
        }
        floats = {name: one.detach().numpy().astype(np.float16) for name, one in held.items()}
        named = {"pieces": known.pieces, "words": known.words, "endings": known.endings}
        lists = {name: np.array("\n".join(one)) for name, one in named.items()}
        return {**floats, **lists, "usual": known.usual, "order": known.order.astype(np.float16)}


@dataclass(frozen=True)
class _Rows:
    """Texts as numbers."""

    words: torch.Tensor
    endings: torch.Tensor
    pieces: list[list[int]]
    author: torch.Tensor
    """Row of `rates`; 0 where nobody is known."""
    rates: torch.Tensor

    @classmethod
    def of(cls, texts: Sequence[_GapText], known: _Known) -> _Rows:
        words, endings, pieces, author = [], [], [], []
        counts, totals = defaultdict[str, Any](lambda: np.zeros(len(known.pieces))), Counter[str]()
        number = {one: at + 1 for at, one in enumerate(dict.fromkeys(t.author for t in texts if t.author))}
        for text in texts:
            for gap in text.gaps:
                words.append(numbered(gap.around, known.words))
                endings.append(numbered([ending(word) for word in gap.around], known.endings))
                pieces.append([known.pieces[piece] for piece in set(gap.pieces)])
                author.append(number.get(text.author or "", 0))
                if text.author:
                    counts[text.author][pieces[-1]] += 1
                    totals[text.author] += 1
        rates = np.zeros((len(number) + 1, len(known.pieces)), dtype=np.float32)
        for one, at in number.items():
            rates[at] = against_usual(counts[one], totals[one], known.usual)
        whole = [torch.tensor(rows, dtype=torch.int32) for rows in (words, endings)]
        return cls(whole[0], whole[1], pieces, torch.tensor(author), torch.from_numpy(rates))

    def wanted(self, rows: Sequence[int]) -> torch.Tensor:
        """(B, S) which pieces stand there."""
        found = torch.zeros(len(rows), self.rates.shape[1])
        at = [(place, piece) for place, row in enumerate(rows) for piece in self.pieces[row]]
        if at:
            found[tuple(torch.tensor(at).T)] = 1.0
        return found


def _fit(
    network: _Network, known: _Known, texts: Sequence[_GapText], *, epochs: int, seed: int, report: Report
) -> list[float]:
    rows = _Rows.of(texts, known)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    draw = np.random.default_rng(seed)
    batches = -(-len(rows.pieces) // BATCH)
    losses: list[float] = []
    for epoch in range(epochs):
        total, order = 0.0, draw.permutation(len(rows.pieces))
        for batch in range(batches):
            index = torch.from_numpy(order[batch * BATCH : (batch + 1) * BATCH])
            some = [int(row) for row in index]
            words = rows.words[index].long()
            words[(torch.rand(words.shape) < WITHOUT_WORD) & (words > UNKNOWN)] = UNKNOWN
            rates = rows.rates[rows.author[index]] * (torch.rand(len(some), 1) >= WITHOUT_RATES)
            logits = network(words, rows.endings[index].long(), rates)
            loss = F.binary_cross_entropy_with_logits(logits, rows.wanted(some), reduction="none").sum(dim=1).mean()
            for group in optimizer.param_groups:
                group["lr"] = RATE * (1 - (epoch * batches + batch) / (epochs * batches))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(some)
        losses.append(total / len(rows.pieces))
        report(f"round {epoch + 1} of {epochs}: {losses[-1]:.4f} nats a place")
    return losses


def _loss(network: _Network | None, known: _Known, texts: Sequence[_GapText]) -> float:
    """Nats a place with the authors' rates; of the pieces' usual rates alone where there is no network."""
    rows = _Rows.of(texts, known)
    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(rows.pieces), BATCH):
            some = range(start, min(start + BATCH, len(rows.pieces)))
            wanted = rows.wanted(some)
            if network is None:
                chance = torch.from_numpy(known.usual).clamp(1e-5, 1 - 1e-5).expand(len(some), -1)
                total += F.binary_cross_entropy(chance, wanted, reduction="sum").item()
                continue
            part = slice(some.start, some.stop)
            logits = network(rows.words[part].long(), rows.endings[part].long(), rows.rates[rows.author[part]])
            total += F.binary_cross_entropy_with_logits(logits, wanted, reduction="sum").item()
    return total / max(1, len(rows.pieces))
