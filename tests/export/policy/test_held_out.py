"""What is calibrated on and what is judged on are never the same items."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp_export.policy.held_out import Texts, read_texts

pytestmark = pytest.mark.export


def items(user: str, count: int) -> tuple[tuple[str, str], ...]:
    return tuple((f"{user} in {index}", f"{user} out {index}") for index in range(count))


def test_the_last_third_of_every_user_is_held_out() -> None:
    texts = Texts("made", (items("a", 12), items("b", 10)))
    assert [len(part) for part in texts.held_out] == [4, 3]
    assert [len(part) for part in texts.earlier] == [8, 7]
    for before, after in zip(texts.earlier, texts.held_out, strict=True):
        assert not set(before) & set(after)


def test_queries_are_held_out_items_and_see_only_earlier_ones() -> None:
    texts = Texts("made", (items("a", 12), items("b", 10)))
    found = texts.queries(100)
    assert len(found) == 7
    assert [query.prompt for query in found[:3]] == ["a in 11", "b in 9", "a in 10"]
    for query in found:
        assert len(query.earlier) == (8 if query.prompt.startswith("a") else 7)
        assert (query.prompt, query.written) not in query.earlier
    assert texts.queries(2) == found[:2]


def test_texts_come_from_a_file_the_samples_or_one_user_of_them(tmp_path: Path) -> None:
    assert len(read_texts(None).users) == 2
    assert len(read_texts(None, "mara").users) == 1
    path = tmp_path / "texts.jsonl"
    rows = [{"user_id": user, "input": a, "output": b} for user in "ab" for a, b in items(user, 9)]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert len(read_texts(path).users) == 2
    assert read_texts(path, "b").users[0][0] == ("b in 0", "b out 0")


def test_users_with_too_few_items_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text("\n".join(json.dumps({"input": a, "output": b}) for a, b in items("a", 8)))
    with pytest.raises(InvalidInput, match=r"no user of texts\.jsonl has 9 items"):
        read_texts(path)
    with pytest.raises(InvalidInput, match="no sample history of 'ada'"):
        read_texts(None, "ada")
