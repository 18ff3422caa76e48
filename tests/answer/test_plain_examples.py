"""What a rewriting is shown: plain versions of own texts, the most similar first, never the text itself."""

from __future__ import annotations

from fakes import rooms

from answer.requests import ask
from edge_ttp.answer.plain_examples import examples, passage_of
from edge_ttp.answer.prompt import EXAMPLE_INPUT_CHARS
from edge_ttp.history import History
from edge_ttp.schema import HistoryItem


def test_examples_are_plain_versions_of_own_texts_and_never_the_text_itself(history: History) -> None:
    own = "Hey Tom, we can't make the call with Anna Lee on Friday. Cheers!"
    for text in (own, "Sure, the boiler man comes on Monday. Cheers!", "Can't find the keys anywhere."):
        history.add(HistoryItem(user_id="ann", input="x", output=text, kind="chat"))
    shown = examples(rooms(history), ask("x"), "can't make call anna lee friday", 4, depth="words", strict=False)
    assert own not in [written for _, written in shown]
    assert ("sure boiler man comes monday cheers", "Sure, the boiler man comes on Monday. Cheers!") in shown
    hidden = examples(rooms(history), ask("x"), "boiler keys", 4, depth="words", strict=True)
    assert any("[F1]" in given and "[F1]" in written for given, written in hidden)


def test_texts_of_the_kind_are_shown_where_there_are_any(history: History) -> None:
    for kind, text in (("mail", "The boiler man comes on Monday."), ("chat", "boiler? nope, tuesday maybe")):
        history.add(HistoryItem(user_id="ann", input="x", output=text, kind=kind))

    def shown(kind: str) -> list[str]:
        asked = ask("x", kind=kind)
        made = examples(rooms(history), asked, "who mends the boiler", 4, depth="flat", strict=False)
        return sorted(written for _, written in made)

    assert shown("mail") == ["The boiler man comes on Monday."]
    assert shown("letter") == ["The boiler man comes on Monday.", "boiler? nope, tuesday maybe"]


def test_as_many_as_are_asked_for(history: History) -> None:
    for place in range(5):
        history.add(HistoryItem(user_id="ann", input="x", output=f"Boat {place} sails to harbour number {place}."))
    for count in (0, 1, 3):
        assert len(examples(rooms(history), ask("x"), "boats", count, depth="flat", strict=False)) == count


def test_of_a_long_text_its_beginning_is_shown_in_whole_sentences() -> None:
    assert passage_of("  short ") == "short"
    sentence = "x" * 98 + ". "  # 100 characters
    long = sentence * (EXAMPLE_INPUT_CHARS // 100 + 2)
    assert passage_of(long) == (sentence * (EXAMPLE_INPUT_CHARS // 100)).strip()
    assert passage_of("one line\n" + "y" * EXAMPLE_INPUT_CHARS) == "one line"
    assert passage_of("y" * (EXAMPLE_INPUT_CHARS + 1)) == ""
