"""Tables: by their header, in whatever encoding; rows that cannot be read are named."""

from __future__ import annotations

from contextlib import suppress
from io import BufferedReader, BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange import csv_table, jsonl
from edge_ttp.exchange.records import BadRecord, Entry, Numbered, Remark
from edge_ttp.history.importing import checked
from edge_ttp.schema import HistoryItem


def items(found: list[Entry]) -> list[HistoryItem]:
    return [one.record for one in found if isinstance(one, Numbered) and isinstance(one.record, HistoryItem)]


def table(data: bytes, form: str | None = None, encoding: str | None = None, **columns: str) -> list[Entry]:
    how = jsonl.LineReading(None, "ann", columns=columns, form=form, encoding=encoding)
    stream = BufferedReader(BytesIO(data))  # type: ignore[arg-type]
    return list(checked(lambda: csv_table.rows(stream, "table", how)))


def test_a_table_is_read_by_its_header() -> None:
    data = 'input,output,date,order,extra\n"Where,\nwhen?",here,2025-01-02,5,é\n,alone,,7,\n\n'.encode()
    first, second = items(table(data))
    assert (first.input, first.output, first.metadata) == ("Where,\nwhen?", "here", {"extra": "é"})
    assert first.created_at.isoformat() == "2025-01-02T00:00:00.005000+00:00"
    assert (second.input, second.output, second.source, second.user_id) == ("", "alone", "csv", "ann")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_columns_can_have_other_names_and_delimiters(delimiter: str) -> None:
    data = "\ufeff" + delimiter.join(("Question", "Answer", "When")) + "\n" + delimiter.join(("q", "a", "2025"))
    [item] = items(table(data.encode(), input="Question", output="Answer", date="When"))
    assert (item.input, item.output, item.created_at.year) == ("q", "a", 2025)


def test_rows_that_cannot_be_stored_are_named() -> None:
    found = table(b"output,date\ngood,2025\n,2025\nx,never\n\xff,2025\na,b,c\n", encoding="utf-8")
    assert [type(one) for one in found] == [Numbered, BadRecord, BadRecord, BadRecord, BadRecord]
    assert [one.number for one in found if isinstance(one, BadRecord)] == [3, 4, 5, 6]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a,b\n1,2\n",
        b"\x00\x01",
        b"PK\x03\x04",
        b"output\n" + b"x" * (jsonl.MAX_LINE + 2),
        b'output\n"' + b"y\n" * 10 + b"\xff\xfe",
    ],
)
def test_what_is_no_table_of_texts_is_one_line_or_a_named_row(data: bytes) -> None:
    try:
        found = table(data)
    except InvalidInput:
        return
    assert not items(found)


@given(st.binary(max_size=300))
@settings(max_examples=80)
def test_any_bytes_below_a_header_are_read_or_refused(data: bytes) -> None:
    with suppress(InvalidInput):
        assert all(isinstance(one, Numbered | BadRecord | Remark) for one in table(b"output,input\n" + data))


EXCEL = "Frage;Antwort;Datum\r\nKönnten Sie das prüfen?;klar – grüße, j.;04.03.2025\r\nGröße?;größe M;\r\n".encode(
    "cp1252"
)
GERMAN = {"output": "Antwort", "input": "Frage", "date": "Datum"}


def test_an_encoding_is_guessed_and_said() -> None:
    remark, first, second = table(EXCEL, **GERMAN)
    assert isinstance(remark, Remark)
    assert "cp1252" in remark.text
    [one, two] = items([first, second])
    assert (one.output, one.input, one.created_at.date().isoformat()) == (
        "klar – grüße, j.",
        "Könnten Sie das prüfen?",
        "2025-03-04",
    )
    assert two.output == "größe M"  # its date is unknown


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1251"])
def test_other_encodings_are_read(encoding: str) -> None:
    data = "output,input\nПривет, как дела,вопрос\nотправил письмо вчера вечером,ещё вопрос\n".replace(", как", " как")
    assert items(table(data.encode(encoding)))[0].output == "Привет как дела"


def test_an_encoding_can_be_named() -> None:
    found = table("output\nžluťoučký\n".encode("cp1250"), encoding="cp1250")
    assert [one.output for one in items(found)] == ["žluťoučký"]
    assert not any(isinstance(one, Remark) for one in found)


def test_a_missing_column_is_one_line_with_the_cure() -> None:
    with pytest.raises(InvalidInput, match=r"no column 'output'.*--map output=Antwort --map input=Frage"):
        table(EXCEL)


def test_the_cure_maps_columns_by_what_they_are_called() -> None:
    with pytest.raises(InvalidInput, match=r"--map 'output=Your answer' --map input=Question --map date=Zeitstempel"):
        table(b"Zeitstempel,Question,Your answer\n2025,a,b\n")
    with pytest.raises(InvalidInput, match=r"--map output=b --map input=a"):
        table(b"a,b,c\n1,2,3\n")
    with pytest.raises(InvalidInput, match=r"--map output=a$"):
        table(b"a\n1\n")


@pytest.mark.parametrize(
    ("dates", "expected", "form"),
    [
        (("1/13/2025 9:12 PM", "2/1/2025"), ["2025-01-13T21:12", "2025-02-01T00:00"], "month/day"),
        (("13/1/2025 9:12", "2/1/2025", ""), ["2025-01-13T09:12", "2025-01-02T00:00", None], "day/month"),
        (("13-1-25, 12:00 am",), ["2025-01-13T00:00"], "day/month"),
    ],
)
def test_the_order_of_day_and_month_is_told_by_the_whole_column(
    dates: tuple[str, ...], expected: list[str | None], form: str
) -> None:
    lines = "".join(f'"answer {place}, 1/31/2025","{date}"\n' for place, date in enumerate(dates))
    found = table(f"output,date\n{lines}".encode())
    now = [one.created_at for one in items(found)]
    assert [wanted and one.isoformat()[:16] for one, wanted in zip(now, expected, strict=True)] == expected
    assert [one.text for one in found if isinstance(one, Remark)] == [
        f"dates with slashes or hyphens were read as {form}; --date-format says otherwise"
    ]


@pytest.mark.parametrize("dates", [("03/04/2025",), ("13/1/2025", "1/13/2025")])
def test_dates_that_can_be_read_both_ways_are_refused_with_the_cure(dates: tuple[str, ...]) -> None:
    found = table(f"output,date\n{''.join(f'x,{date}{chr(10)}' for date in dates)}".encode())
    assert [one.reason for one in found if isinstance(one, BadRecord)]
    assert all("--date-format" in one.reason for one in found if isinstance(one, BadRecord))


def test_a_header_in_capitals_names_the_same_columns() -> None:
    (item,) = items(table(b"Input,Output,Date,Place\nwhere,here,2025-01-02,x\n"))
    assert (item.input, item.output, item.metadata) == ("where", "here", {"Place": "x"})
    (item,) = items(table(b"Output,output\nan answer,mine\n"))
    assert (item.output, item.metadata) == ("mine", {"Output": "an answer"})
    (item,) = items(table(b"Text,Output\nmine,4 stars\n", output="Text"))
    assert (item.output, item.metadata) == ("mine", {"Output": "4 stars"})


def test_excels_first_line_names_the_delimiter() -> None:
    assert [one.input for one in items(table(b"sep=;\r\ninput;output\r\na, b, c;d\r\n"))] == ["a, b, c"]
    assert [one.input for one in items(table(b'"in, put";input;output\r\nx;a;b\r\n'))] == ["a"]


@pytest.mark.parametrize(
    ("written", "form", "expected"),
    [
        ("03/04/2025", "%m/%d/%Y", "2025-03-04T00:00"),
        ("03/04/2025", "%d/%m/%Y", "2025-04-03T00:00"),
        ('"Mon, 06 Jan 2025 09:12:00 +0100"', None, "2025-01-06T08:12"),
        ("1736150000", None, "2025-01-06T07:53"),
        ("1736150000123", None, "2025-01-06T07:53"),
    ],
)
def test_dates_are_read_as_they_are_written(written: str, form: str | None, expected: str) -> None:
    [item] = items(table(f"output,date\nx,{written}\n".encode(), form))
    assert item.created_at.isoformat()[:16] == expected


def test_line_ends_and_marks_of_editors_go() -> None:
    [item] = items(table('\ufeffoutput\r\n"two\r\nlines"\r\n'.encode()))
    assert item.output == "two\nlines"


def test_a_bad_row_never_ends_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_table, "MAX_LINE", 1000)
    found = table(b"output\ngood\n" + b"x" * 5000 + b"\nfine\na,b,c\nlast\n")
    assert [one.output for one in items(found)] == ["good", "fine", "last"]
    assert [one.number for one in found if isinstance(one, BadRecord)] == [3, 5]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-7", "cp932", "gb18030", "utf-8"])
def test_bytes_that_an_encoding_does_not_have_cost_their_row(encoding: str) -> None:
    data = "output\ngood\n".encode(encoding) + b"\xff\xd8\xff"
    found = table(data, encoding=encoding)
    assert items(found)[0].output == "good"
