"""`edge-ttp history pairs`: the lines written, of whom, and that nothing is replaced unasked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.schema import HistoryItem

from .history_calls import Invoke

SUBJECTS = (
    "boats leave harbour", "bread needs flour", "trains reach stations", "roses want hedges", "pipes froze overnight",
    "letters missed stamps", "kittens broke vases", "teachers marked essays", "drivers lost tickets",
)  # fmt: skip


@pytest.fixture
def written(home: Path) -> None:
    """Nine texts of ann, mails and chats in turn, and one of bob."""
    with History.open(locate(home).database) as history:
        for place, what in enumerate(SUBJECTS):
            text = f"Hey, the {what} at {place}. Cheers!"
            history.add(HistoryItem(user_id="ann", input="x", output=text, kind=("mail", "chat")[place % 2]))
        history.add(HistoryItem(user_id="bob", input="x", output="Bob's only note is about bread and ovens."))


@pytest.mark.usefixtures("written")
def test_a_passage_holds_pairs_whose_last_is_the_task(invoke: Invoke, tmp_path: Path) -> None:
    out = tmp_path / "pairs.jsonl"
    told = json.loads(invoke("pairs", str(out), "--user", "ann", "--size", "2", "--kind", "mail", "--json"))
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert told == {"file": str(out), "texts": 5, "passages": len(lines)}
    assert lines
    for line in lines:
        assert set(line) == {"user_id", "kind", "depth", "pairs"}
        assert (line["user_id"], line["kind"]) == ("ann", "mail")
        assert len(line["pairs"]) == 2
        for pair in line["pairs"]:
            number = pair["text"].split()[-2].rstrip(".")
            assert number in pair["outline"].split()  # facts stand at every depth
            assert "Hey" not in pair["outline"]
    tasks = [line["pairs"][-1]["text"].split()[-2].rstrip(".") for line in lines if line["depth"] == "words"]
    assert sorted(tasks) == ["0", "2", "4", "6", "8"]


@pytest.mark.usefixtures("written")
def test_another_seed_gives_other_pairs_and_the_same_the_same(invoke: Invoke, tmp_path: Path) -> None:
    def made(name: str, seed: str) -> bytes:
        invoke("pairs", str(tmp_path / name), "--all-users", "--seed", seed)
        return (tmp_path / name).read_bytes()

    first = made("a", "1")
    assert made("b", "1") == first != made("c", "2")
    assert b"bob" not in first  # one text alone makes no passage


@pytest.mark.usefixtures("written")
def test_a_file_that_is_there_is_replaced_only_when_forced(invoke: Invoke, tmp_path: Path) -> None:
    out = tmp_path / "pairs.jsonl"
    out.write_text("mine\n")
    assert "--force" in invoke("pairs", str(out), "--user", "ann", code=2, stderr=True)
    assert out.read_text() == "mine\n"
    said = invoke("pairs", str(out), "--user", "ann", "--force", stderr=True)
    assert said.endswith(f"from 9 texts in {out}\n")
    assert out.read_text() != "mine\n"
