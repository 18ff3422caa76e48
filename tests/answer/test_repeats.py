from __future__ import annotations

import pytest

from edge_ttp.answer.repeats import Earlier


def stale(candidate: str, request: str, history: list[tuple[str, str]]) -> str | None:
    return Earlier(request, history).stale(candidate)


@pytest.mark.parametrize(
    ("given", "written", "request_text", "wrong"),
    [
        ("Can we meet on Thursday?", "Thursday works, see you then", "Can we meet on Wednesday?", "Thursday"),
        ("Dinner at 7?", "7 is perfect, see you there", "Dinner at 9?", "7"),
        ("Does Anna come along?", "Yes, I asked Anna already", "Does Peter come along?", "Anna"),
        ("Geht es am Montag?", "Ja, Montag passt gut", "Geht es am Freitag?", "Montag"),
        ("On se voit mardi ?", "Oui, mardi me va très bien", "On se voit jeudi ?", "mardi"),
        ("¿Puedes el lunes?", "Claro, el lunes puedo", "¿Puedes el viernes?", "lunes"),
        ("The invoice 4711 is due", "I paid invoice 4711 today", "The invoice 4812 is due", "4711"),
        ("木曜は大丈夫ですか", "木曜で大丈夫です", "水曜は大丈夫ですか", "木曜"),
    ],
)
def test_an_old_answer_with_the_wrong_particular_is_stale(
    given: str, written: str, request_text: str, wrong: str
) -> None:
    assert stale(written, request_text, [(given, written)]) == wrong
    assert stale(written, given, [(given, written)]) is None  # the same is asked again


def test_a_near_copy_is_a_copy() -> None:
    history = [("Can we meet on Thursday?", "Thursday works for me, see you then!")]
    assert stale("Thursday works for me, see you then.", "Can we meet on Wednesday?", history) == "Thursday"
    assert stale("I am away all week, sorry", "Can we meet on Wednesday?", history) is None


@pytest.mark.parametrize(
    "candidate", ["Sounds good, thanks!", "Wednesday works, see you then", "Sure thing. Best, Jo", ""]
)
def test_what_is_true_of_this_request_too_is_left_alone(candidate: str) -> None:
    history = [
        ("Can we meet on Thursday?", "Sounds good, thanks!"),
        ("Can we meet on Thursday?", "Thursday works, see you then"),
        ("Lunch today?", "Sure thing. Best, Jo"),
        ("Beer on Friday?", "Yes please! Best, Jo"),
    ]
    assert stale(candidate, "Can we meet on Wednesday?", history) is None


def test_a_signature_is_the_users_own_whatever_is_asked() -> None:
    history = [
        ("Are you in?", "Yes. Call 0171 2233 any time"),
        ("Is it done?", "Nearly. Call 0171 2233 any time"),
    ]
    assert stale("Yes. Call 0171 2233 any time", "Are you in at 5?", history) is None
