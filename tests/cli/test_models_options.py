"""What the commands of `edge-ttp models` share: sizes in words, an entry as JSON has it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_ttp.cli.models_options import as_dict, registry, size


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (98_765_432, "98.8 MB"),
        (999_999_999, "1000.0 MB"),
        (10**9, "1.0 GB"),
        (2_340_000_000_000, "2340.0 GB"),
    ],
)
def test_sizes_are_said_in_powers_of_a_thousand(count: int, words: str) -> None:
    assert size(count) == words


def test_an_entry_becomes_plain_json(home: Path) -> None:
    entries = registry().list()
    assert {entry.kind for entry in entries} >= {"policy", "reward"}
    for entry in entries:
        told = json.loads(json.dumps(as_dict(entry)))
        assert told["name"] == entry.name
        assert told["path"] == (None if entry.path is None else str(entry.path))
        assert told["installed"] is entry.installed
