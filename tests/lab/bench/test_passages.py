"""Held-out passages: what is scored is what the users wrote, in the runtime's own prompts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_ttp.answer.prompt import Style
from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.passages import file_pairs, passages, sample_pairs
from edge_ttp.policy.llama import LlamaPolicy

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def policy(policy_path: Path) -> Iterator[LlamaPolicy]:
    opened = LlamaPolicy(policy_path, threads=1)
    yield opened
    opened.close()


def words(policy: LlamaPolicy, tokens: list[int]) -> str:
    return b"".join(policy._model.piece(token) for token in tokens).decode()


@pytest.mark.parametrize("style", ["chat", "few-shot"])
def test_exactly_the_outputs_and_their_ends_are_scored(policy: LlamaPolicy, style: Style) -> None:
    users = [[(f"Input number {index}.", f"what {name} wrote, {index}!") for index in range(8)] for name in ("a", "b")]
    found = passages(policy, style, users, 10_000)
    assert len(found) == 2
    for passage, items in zip(found, users, strict=True):
        scored = words(policy, [passage.tokens[index] for index in passage.scored])
        end, lead = ("", "") if style == "chat" else ("\n", " ")  # one token; a control token has no text
        assert scored == "".join(f"{lead}{written}{end}" for _, written in items[1:7])
        whole = words(policy, list(passage.tokens))
        assert whole.count("Input number") == 7
    assert sum(policy._model.ends_answer(found[0].tokens[index]) for index in found[0].scored) == (
        6 if style == "chat" else 0
    )


def test_users_take_turns_until_there_are_enough_positions(policy: LlamaPolicy) -> None:
    few = passages(policy, "chat", sample_pairs(), 150)
    many = passages(policy, "chat", sample_pairs())
    assert 150 <= sum(len(passage.scored) for passage in few) < 300
    assert many[: len(few)] == few
    assert sum(len(passage.scored) for passage in many) >= 512
    assert b"heating" in b"".join(policy._model.piece(token) for token in few[0].tokens)


def test_long_texts_are_cut(policy: LlamaPolicy) -> None:
    users = [[("in", "word " * 700), ("in", "more " * 700), ("in", "last")]]
    (passage,) = passages(policy, "few-shot", users)
    assert len(passage.tokens) <= 1024
    assert passage.scored[-1] == len(passage.tokens) - 1


def test_users_with_fewer_than_three_items_give_no_passage(policy: LlamaPolicy) -> None:
    with pytest.raises(InvalidInput, match="no user with three items"):
        passages(policy, "chat", [[("a", "b"), ("c", "d")], []])


def test_a_file_is_read_by_user(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text(
        '{"user_id": "a", "input": "1", "output": "one"}\n\n{"input": "2", "output": "two"}\n'
        '{"user_id": "a", "input": "3", "output": "three"}\n'
    )
    assert file_pairs(path) == [[("1", "one"), ("3", "three")], [("2", "two")]]


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"input": "1", "output": "one"}\n{"input": 3}\n')
    with pytest.raises(InvalidInput, match=r"line 2 of .*texts.jsonl"):
        file_pairs(path)
    with pytest.raises(InvalidInput, match="cannot read"):
        file_pairs(tmp_path / "none.jsonl")
    with pytest.raises(InvalidInput, match="cannot read"):
        file_pairs(tmp_path)


def test_one_user_of_a_file_may_be_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text(
        '{"user_id": "a", "input": "1", "output": "one"}\n{"user_id": "b", "input": "2", "output": "two"}\n'
    )
    assert file_pairs(path, "b") == [[("2", "two")]]
    assert file_pairs(path, "c") == []
