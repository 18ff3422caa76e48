"""The prompt in words: who speaks in which order, where an answer ends, how long it may be."""

from __future__ import annotations

import pytest

from edge_ttp.answer.prompt import EXAMPLE_INPUT_CHARS, compose, tokens_for

BEST, WORSE = ("best input", "best output"), ("worse input", "worse output")


def test_the_best_example_stands_next_to_the_request() -> None:
    prompt = compose("now", [BEST, WORSE], "chat")
    assert prompt.messages[1:] == (
        ("user", "worse input"),
        ("assistant", "worse output"),
        ("user", "best input"),
        ("assistant", "best output"),
        ("user", "now"),
    )
    assert prompt.examples == 2


def test_few_shot_text_ends_where_the_model_goes_on() -> None:
    prompt = compose(" now\n", [BEST], "few-shot")
    assert prompt.text == "Input: best input\nOutput: best output\n\nInput: now\nOutput:"
    assert compose("now", [], "few-shot").text == "Input: now\nOutput:"


def test_turns_follow_the_examples_oldest_first_and_count_as_no_example() -> None:
    prompt = compose("now", [BEST], "chat", turns=[("one", "1"), ("two", "2")])
    assert [text for _, text in prompt.messages[1:]] == ["best input", "best output", "one", "1", "two", "2", "now"]
    assert prompt.examples == 1


def test_the_instruction_speaks_of_the_user_only_where_there_is_something_to_imitate() -> None:
    with_history, without = compose("now", [BEST], "chat"), compose("now", [], "chat")
    assert with_history.messages[0][0] == without.messages[0][0] == "system"
    assert "user" in with_history.messages[0][1]
    assert "user" not in without.messages[0][1]


@pytest.mark.parametrize(
    ("style", "examples", "stop"),
    [
        ("chat", [], ()),
        ("chat", [("a", "one line")], ("\n",)),
        ("chat", [("a", "one line"), ("b", "two\nlines")], ()),
        ("few-shot", [], ("\n",)),
        ("few-shot", [("a", "one line")], ("\n",)),
        ("few-shot", [("a", "one line"), ("b", "two\nlines")], ("\n\nInput:", "\nInput:", "\nOutput:")),
    ],
)
def test_an_answer_ends_with_the_line_where_this_user_writes_single_lines(
    style: str, examples: list[tuple[str, str]], stop: tuple[str, ...]
) -> None:
    assert compose("now", examples, style).stop == stop  # type: ignore[arg-type]


@pytest.mark.parametrize("style", ["chat", "few-shot"])
@pytest.mark.parametrize("examples", [[], [("a", "one line")]])
def test_an_answer_of_several_lines_does_not_end_with_its_first(style: str, examples: list[tuple[str, str]]) -> None:
    stop = compose("ten names, a list", examples, style, several_lines=True).stop  # type: ignore[arg-type]
    assert "\n" not in stop


def test_space_around_an_output_does_not_make_it_several_lines() -> None:
    assert compose("now", [("a", "\none line\n")], "chat").stop == ("\n",)


def test_a_long_example_input_is_cut_at_a_word_and_an_output_never() -> None:
    given, written = "word " * 200, "text " * 200
    prompt = compose("now", [(given, written)], "chat")
    shown = prompt.messages[1][1]
    assert " word ... word " in shown
    assert len(shown) <= EXAMPLE_INPUT_CHARS + 4
    assert prompt.messages[2][1] == written.strip()
    assert len(compose("now", [("x" * 5000, "out")], "chat").messages[1][1]) == EXAMPLE_INPUT_CHARS + 4
    ends = compose("now", [("word " * 500 + "and when?", "out")], "chat").messages[1][1]
    assert ends.endswith("and when?")


def test_the_request_itself_is_never_cut() -> None:
    request = "word " * 2000
    assert compose(request, [BEST], "chat").messages[-1][1] == request
    assert request.strip() in compose(request, [BEST], "few-shot").text


@pytest.mark.parametrize(
    ("lengths", "longest"), [([], 96), ([1], 16), ([10], 16), ([40], 54), ([40, 8, 3], 54), ([400], 504), ([4000], 512)]
)
def test_a_candidate_may_be_a_quarter_longer_than_the_longest_text_within_bounds(
    lengths: list[int], longest: int
) -> None:
    assert tokens_for(lengths) == longest


def test_documents_stand_before_what_is_asked_and_a_system_text_behind_the_houses_own() -> None:
    for style in ("chat", "few-shot"):
        prompt = compose("what grows here", [("near", "a pond")], style, system=" Name two. ", context=(" pears ",))
        shown = prompt.messages[-1][1] if style == "chat" else prompt.text
        assert "pears\n\nwhat grows here" in shown
        told = prompt.messages[0][1] if style == "chat" else prompt.text
        assert "Name two." in told
        assert "a pond" in prompt.text


def test_without_them_the_prompt_is_what_it_was() -> None:
    assert compose("x", [("a", "b")], "chat") == compose("x", [("a", "b")], "chat", system=None, context=())
    assert compose("x", [], "few-shot").text == "Input: x\nOutput:"


def test_the_bare_policy_gets_the_conversation_and_nothing_of_ours() -> None:
    prompt = compose("And now?", [BEST], "chat", [("Hello", "Hi")], system="Be brief.", speaker="policy")
    assert prompt.messages == (
        ("system", "Be brief."),
        ("user", "Hello"),
        ("assistant", "Hi"),
        ("user", "And now?"),
    )
    assert (prompt.stop, prompt.examples) == ((), 0)
    assert compose("Hi", [], "chat", speaker="policy").messages == (("user", "Hi"),)


def test_a_text_to_go_on_with_is_read_as_it_stands() -> None:
    prompt = compose("Once upon a time ", [BEST], "chat", speaker="text")
    assert (prompt.style, prompt.text, prompt.stop) == ("few-shot", "Once upon a time ", ())
