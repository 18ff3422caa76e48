"""Queries of tune users with candidates that `bench temperature` has drawn for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.corpus import Query, queries, tasks_of
from edge_ttp.lab.bench.drawing import DrawnText
from edge_ttp.lab.bench.resumable import Resumable
from edge_ttp.lab.bench.scored_pools import TUNE
from edge_ttp.schema import Candidate


def tune_queries(
    files: Sequence[Path], folder: Path, size: int, report: Callable[[str], None]
) -> Iterator[tuple[Query, list[Candidate]]]:
    """Every query that has `size` candidates at its file's highest temperature, with the first so many of them.

    `folder` holds the users' texts. Raises InvalidInput for files of another kind.
    """
    count = 0
    for file in files:
        header, drawn = Resumable.read(file)
        if header["results"] != "temperature pools":
            raise InvalidInput(f"{file} holds {header['results']}", "give files of `bench temperature`")
        hottest = max(header["temperatures"])
        for query in queries(folder, tasks_of(drawn), tenths=TUNE, count=10**6):
            if query.key in drawn:
                texts = [DrawnText.of(one) for one in drawn[query.key]["candidates"]]
                at = [one.candidate for one in texts if one.temperature == hottest][:size]
                if len(at) == size:
                    count += 1
                    yield query, at
        report(f"{file.name}: {count} pools so far")
