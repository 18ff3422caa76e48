"""Text as numbers and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_ttp.policy.elsewhere.spelling import as_messages, read, spelled, turns

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(TEXT)
def test_a_text_comes_back(text: str) -> None:
    assert read(spelled(text)) == text
    assert len(spelled(text)) == -(-len(text.encode()) // 4)


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), TEXT), min_size=1, max_size=5), TEXT)
def test_messages_come_back_with_what_was_begun(messages: list[tuple[str, str]], begun: str) -> None:
    assert as_messages((*turns(messages), *spelled(begun))) == (messages, begun)


@given(TEXT)
def test_plain_text_is_no_conversation(text: str) -> None:
    assert as_messages(spelled(text)) is None
