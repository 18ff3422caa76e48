from __future__ import annotations

from edge_ttp.history import History

from .conftest import new_item


def test_all_words_must_stand_in_input_or_output(history: History) -> None:
    history.add_many([new_item("the train is late", given="to Berlin", day=1), new_item("the train", day=2)])
    assert [found.item.id for found in history.search("ann", "berlin train")] == [1]
    assert [found.item.id for found in history.search("ann", "train")] == [2, 1]
    assert history.search("ann", "berlin rain") == []


def test_the_last_word_may_be_a_beginning(history: History) -> None:
    history.add(new_item("Zürich in winter"))
    found = history.search("ann", "wint")[0]
    assert [found.snippet[start:end] for start, end in found.highlights] == ["winter"]
    assert history.search("ann", "zuri winter") == []


def test_snippets_are_one_line_around_the_first_word(history: History) -> None:
    history.add(new_item("intro\n" * 200 + "then the\ttrain\x1b[31m came " + "and went " * 100))
    found = history.search("ann", "train")[0]
    assert found.field == "output"
    assert found.snippet.startswith("…")
    assert found.snippet.endswith("…")
    assert found.snippet.isprintable()
    assert [found.snippet[start:end] for start, end in found.highlights] == ["train"]


def test_search_stays_within_the_user(history: History) -> None:
    history.add_many([new_item("train"), new_item("train", user="bob")])
    assert [found.item.user_id for found in history.search("bob", "train")] == ["bob"]
    assert history.search("eve", "train") == []


def test_text_without_words_finds_nothing(history: History) -> None:
    history.add(new_item("train !"))
    assert history.search("ann", "!") == []
    assert history.search("ann", "train", 0) == []
