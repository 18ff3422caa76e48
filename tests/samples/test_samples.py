"""The sample histories: well-formed, about the same things, and told apart by voice alone."""

from __future__ import annotations

import pytest

from edge_ttp.samples import DEMO_PROMPTS, SAMPLE_USERS, SampleItem, sample_items, sample_path
from edge_ttp.schema import HistoryItem


@pytest.mark.parametrize("user", SAMPLE_USERS)
def test_every_item_is_a_history_item_of_its_user(user: str) -> None:
    items = sample_items(user)
    assert len(items) >= 44
    assert [item["order"] for item in items] == list(range(1, len(items) + 1))
    assert len({item["input"] for item in items}) == len({item["output"] for item in items}) == len(items)
    for item in items:
        assert set(item) == set(SampleItem.__annotations__)
        assert item["user_id"] == user
        HistoryItem(user_id=user, input=item["input"], output=item["output"], kind=item["kind"])


@pytest.mark.parametrize("user", SAMPLE_USERS)
def test_outputs_are_one_short_line(user: str) -> None:
    for item in sample_items(user):
        assert "\n" not in item["output"]
        assert 4 <= len(item["output"].split()) <= 16


def test_the_voices_never_overlap() -> None:
    for item in sample_items("mara"):
        assert "!!" in item["output"]
        assert item["output"] == item["output"].lower()
    for item in sample_items("theo"):
        assert ":" in item["output"]
        assert "!" not in item["output"]
        assert item["output"].isascii()
        assert item["output"][0].isupper()


def test_two_thirds_of_what_happens_is_the_same_for_both() -> None:
    mara, theo = ({item["input"] for item in sample_items(user)} for user in SAMPLE_USERS)
    assert 0.6 <= len(mara & theo) / len(mara) <= 0.8
    assert len(mara) == len(theo)


@pytest.mark.parametrize("prompt", DEMO_PROMPTS)
@pytest.mark.parametrize("user", SAMPLE_USERS)
def test_demo_prompts_are_new_and_near_to_several_items(user: str, prompt: str) -> None:
    words = {word.strip(".").lower() for word in prompt.split() if len(word) > 3}
    inputs = [item["input"] for item in sample_items(user)]
    assert prompt not in inputs
    near = [text for text in inputs if len(words & {word.strip(".,").lower() for word in text.split()}) >= 2]
    assert len(near) >= 2


def test_the_files_are_utf_8_lines_that_the_import_can_read() -> None:
    for user in SAMPLE_USERS:
        assert sample_path(user).read_bytes().decode("utf-8").endswith("}\n")
    with pytest.raises(KeyError):
        sample_path("nobody")
