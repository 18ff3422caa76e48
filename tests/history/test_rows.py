"""Between what crosses the border and what a row holds: times, JSON, fingerprints, and rows that cannot be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ttp.errors import InvalidInput
from edge_ttp.history.rows import (
    EARLIEST,
    LATEST,
    MAX_DEPTH,
    MAX_LABEL,
    MAX_METADATA,
    candidate_row,
    checked_label,
    checked_seed,
    checked_text,
    feedback_from,
    fingerprint,
    from_milliseconds,
    generation_from,
    generation_row,
    item_from,
    metadata_text,
    parsed,
    to_milliseconds,
)
from edge_ttp.schema import MAX_TEXT

from .conftest import new_generation, new_item


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_are_kept_to_the_millisecond(moment: datetime) -> None:
    kept = from_milliseconds(to_milliseconds(moment))
    assert timedelta(0) <= moment - kept < timedelta(milliseconds=1)


def test_a_moment_counts_in_utc_unless_it_says_otherwise() -> None:
    naive = datetime(2026, 1, 1, 12)
    assert to_milliseconds(naive) == to_milliseconds(naive.replace(tzinfo=UTC))
    east = naive.replace(tzinfo=timezone(timedelta(hours=2)))
    assert to_milliseconds(naive) - to_milliseconds(east) == 2 * 3_600_000
    assert to_milliseconds(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1  # rounded down
    for beyond in (EARLIEST - 1, LATEST + 1, 2**63, "5", True, None):
        with pytest.raises(ValueError, match="the time"):
            from_milliseconds(beyond)  # type: ignore[arg-type]


def test_texts_and_labels_have_their_limits() -> None:
    assert checked_text("it", "a" * MAX_TEXT)
    with pytest.raises(InvalidInput, match=f"it has {MAX_TEXT + 1} characters"):
        checked_text("it", "a" * (MAX_TEXT + 1))
    with pytest.raises(InvalidInput, match="not valid Unicode at character 3"):
        checked_text("it", "ab\udc80")
    assert checked_label("kind", "x" * MAX_LABEL)
    for wrong in ("", "x" * (MAX_LABEL + 1), "a\nb", "a\x1b"):
        with pytest.raises(InvalidInput, match="is no label"):
            checked_label("kind", wrong)
    assert checked_seed(-(2**63) + 1)
    with pytest.raises(InvalidInput, match="too large"):
        checked_seed(2**63)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "metadata", [{"a": float("nan")}, {"a": {1, 2}}, {"a": "\ud800"}, {"a": nested(MAX_DEPTH)}, {"a": nested(100_000)}]
)
def test_metadata_without_a_plain_form_is_refused(metadata: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="cannot be written as JSON"):
        metadata_text(metadata)


def test_metadata_is_kept_up_to_its_limits() -> None:
    assert parsed("it", metadata_text({"a": nested(MAX_DEPTH - 1), "é": "ü"})) == {"a": nested(MAX_DEPTH - 1), "é": "ü"}
    with pytest.raises(InvalidInput, match="takes"):
        metadata_text({"a": "x" * MAX_METADATA})


@pytest.mark.parametrize("text", ["{", "NaN", "[" * 50_000, "Infinity", b"{}", 3, None, f"{'[' * 40}{']' * 40}"])
def test_a_column_that_is_no_json_of_ours_is_named(text: object) -> None:
    with pytest.raises(ValueError, match=r"the notes|NaN|Infinity|nested"):
        parsed("the notes", text)


def test_fingerprints_tell_input_from_output_and_nothing_else() -> None:
    one = new_item("b", given="a")
    assert fingerprint(one) == fingerprint(new_item("b", given="a", kind="email", source="jsonl", day=3, user="bob"))
    pairs = (("a", "b"), ("b", "a"), ("", "ab"), ("ab", "x"))
    assert len({fingerprint(new_item(output, given=first)) for first, output in pairs}) == len(pairs)
    assert len(fingerprint(one)) == 16


def test_a_generation_comes_back_from_its_rows() -> None:
    made = new_generation("g", remember="this", conversation="c")
    row = generation_row(made, 7)
    candidates = [(at, *candidate_row(one, "g", at)[:-2]) for at, one in enumerate(made.candidates)]
    assert row[-1] == 7
    assert generation_from(row[:-1], "ann", candidates) == made
    with pytest.raises(ValueError, match="candidate 1 is missing"):
        generation_from(row[:-1], "ann", [candidates[0], candidates[2]])
    infinite = (*candidates[0][:3], float("inf"), *candidates[0][4:])
    with pytest.raises(ValueError, match="infinite"):
        generation_from(row[:-1], "ann", [infinite, *candidates[1:]])
    with pytest.raises(ValueError, match="is no number"):
        generation_from((*row[:5], "3", *row[6:-1]), "ann", candidates)


def test_an_item_that_cannot_have_been_stored_is_none() -> None:
    sound = (5, "ann", "say", "text", "email", 1000, "api", "{}")
    assert item_from(sound).id == 5
    for at, value in ((0, "5"), (1, b"ann"), (3, "  "), (4, ""), (5, 1.5), (6, "a\nb"), (7, "[")):
        with pytest.raises((ValueError, InvalidInput)):
            item_from((*sound[:at], value, *sound[at + 1 :]))


def test_feedback_fits_its_candidates_and_its_kind() -> None:
    sound = (1, "g", "ann", "edit", 1, "better", 1000, 3)
    assert feedback_from(sound).text == "better"
    for at, value in ((4, 3), (4, -1), (5, None), (3, "guessed"), (7, 0), (0, None)):
        with pytest.raises(ValueError):  # noqa: PT011
            feedback_from((*sound[:at], value, *sound[at + 1 :]))
