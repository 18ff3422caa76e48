"""Pools made ready for training and evaluation: vectors, features and labels, by the runtime's own code."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput
from edge_ttp.reward.features import Table, context_vector, feature_table
from edge_ttp.reward.model import EncodedInput, EncodedPool
from edge_ttp.reward.salience import Salience
from edge_ttp.reward.user_profile import HISTORY_ITEMS, UserProfile, VectorMemory, build_profile
from edge_ttp.reward.utility import Tokens, agreement, tokenize
from edge_ttp.reward.word_features import PoolWords, pool_words
from edge_ttp.schema import Candidate
from edge_ttp_export.pool_shards import fingerprint, read_pools
from edge_ttp_export.text_files import Item, file_sha256, read_items
from edge_ttp_export.text_recall import as_history
from edge_ttp_export.user_split import PARTS, Part, part_of

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LabelledPool:
    """One query with its candidates and what each was worth."""

    task: str
    user_id: str
    place: int
    """The item's place among its user's, which is the length of the history before it."""
    part: Part
    profile: UserProfile
    source: EncodedInput
    """The input."""
    encoded: EncodedPool
    table: Table
    """(N, F) features without those that depend on the pool (edge_ttp.reward.features.with_pool)."""
    words: PoolWords
    reference: Tokens
    """What the user wrote."""
    utility: Floats
    """(N,) agreement with what the user wrote."""
    chrf: Floats
    """(N,) chrF against it."""

    @property
    def size(self) -> int:
        """N."""
        return len(self.utility)

    def context(self, candidates: int) -> Table:
        """The context vector, were there so many candidates."""
        return context_vector(self.profile, self.source.vector, self.source.words, candidates)


class TaskFile:
    """One file of texts with the encoder that describes its users, and what reads their inputs."""

    def __init__(self, name: str, users: dict[str, list[Item]], reader: Salience) -> None:
        self.name = name
        self.users = users
        self.reader = reader
        self.encoder = reader.encoder
        self._memory = VectorMemory()
        places = {(item.user_id, item.order): place for place, item in enumerate(_all(users), 1)}
        self._rows = {
            user: [as_history(item, places[user, item.order]) for item in items] for user, items in users.items()
        }

    def profile(self, user_id: str, before: int, shown_as: str | None = None) -> UserProfile:
        """The user's profile from their first `before` items, or from as many of another user's."""
        rows = self._rows[shown_as or user_id][:before]
        return build_profile(self.encoder, rows[-HISTORY_ITEMS:], self._memory)

    def pool(self, user_id: str, place: int, drawn: Sequence[Candidate], chrf: Sequence[float]) -> LabelledPool:
        """The pool of these candidates for the user's item at `place` in their order."""
        item = self.users[user_id][place]
        profile = self.profile(user_id, place)
        texts = [one.text for one in drawn]
        words = tuple(tokenize(text) for text in texts)
        vectors = self.encoder.encode([item.input, *texts])
        source, vectors = vectors[0], vectors[1:]
        source_words, reference = tokenize(item.input), tokenize(item.output)
        reading = self.reader.read(item.input)
        salience = partial(self.reader.numbers, reading, profile, source, texts=texts)
        return LabelledPool(
            task=self.name,
            user_id=user_id,
            place=place,
            part=part_of(user_id),
            profile=profile,
            source=EncodedInput(source, source_words, reading),
            encoded=EncodedPool(tuple(drawn), words, vectors, agreement(words, words)),
            table=feature_table(profile, source, source_words, drawn, words=words, vectors=vectors),
            words=pool_words(profile, source, source_words, words, salience),
            reference=reference,
            utility=agreement(words, [reference])[:, 0],
            chrf=np.array(chrf),
        )


def load_pools(
    files: Sequence[Path],
    data: Sequence[Path],
    reader: Salience,
    report: Callable[[str], None],
    *,
    parts: Collection[Part] = PARTS,
) -> tuple[list[LabelledPool], list[TaskFile], list[dict[str, Any]]]:
    """All pools of `files` (of the users of `parts`), the tasks they come from, and the files' headers.

    Pools stand in the order of the files; a header's `loaded` says how many are its file's.

    Raises InvalidInput where the texts that a file was made from are not among `data`.
    """
    by_hash = {file_sha256(path): path for path in data}
    tasks: dict[Path, TaskFile] = {}
    pools: list[LabelledPool] = []
    headers = []
    for file in files:
        header, records = read_pools(file)
        source = by_hash.get(str(header.get("data")))
        if source is None:
            raise InvalidInput(f"the texts that {file} was made from are not given", "pass their file with --data")
        before = len(pools)
        if source not in tasks:  # several files may hold users of one task
            tasks[source] = TaskFile(header["task"], read_items(source), reader)
        task = tasks[source]
        for record in records:
            if part_of(record["user_id"]) not in parts:
                continue
            place = [item.order for item in task.users[record["user_id"]]].index(record["order"])
            drawn = [
                Candidate(text=one["text"], tokens=int(one["tokens"]), logprob=float(one["logprob"]))
                for one in record["candidates"]
            ]
            pools.append(task.pool(record["user_id"], place, drawn, record["chrf"]))
        headers.append({**header, "file": file.name, "sha256": fingerprint(file), "pools": len(records),
                        "loaded": len(pools) - before})  # fmt: skip
        report(f"{file.name}: {len(records)} pools")
    return pools, list(tasks.values()), headers


def _all(users: Mapping[str, Sequence[Item]]) -> list[Item]:
    return [item for items in users.values() for item in items]
