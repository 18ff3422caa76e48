"""One entry to all formats: options, owners, and records that can be read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.readers import Import, amount, column_pairs, described, source
from edge_ttp.exchange.records import Entry, Numbered, Remark, Skipped, no_progress

MBOX = b"".join(
    f"From x\nFrom: {who}\nSubject: s{at}\n\ntext {at}\n\n".encode()
    for at, who in enumerate(["jo@a.org", "eve@b.org", "Jo <JO@A.ORG>"])
)


def what(path: Path | str, **options: object) -> Import:
    return described(str(path), user=None, fallback="me", **options)  # type: ignore[arg-type]


def read(wanted: Import, spool: Path, *, strict: bool = False) -> list[Entry]:
    with source(wanted, spool, no_progress, strict=strict) as records:
        first = list(records())
        if strict:
            assert list(records()) == first
        return first


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("form", ["mbox", "eml", "maildir"])
def test_without_an_author_the_mails_of_the_usual_sender_are_taken_and_that_is_said(
    tmp_path: Path, form: str, strict: bool
) -> None:
    path = tmp_path / "mails"
    if form == "mbox":
        path.write_bytes(MBOX)
    else:
        folder = path / ("cur" if form == "maildir" else ".")
        folder.mkdir(parents=True)
        for at, mail in enumerate(MBOX.split(b"From x\n")[1:]):
            (folder / f"{at}.eml").write_bytes(mail)
    wanted = what(path)
    assert wanted.format == form
    remark, *others = read(wanted, tmp_path, strict=strict)
    assert isinstance(remark, Remark)
    assert remark.text.startswith("took the mails from jo@a.org as yours (2 of 3)")
    assert [type(one) for one in others] == [Numbered, Skipped, Numbered]
    assert [type(one) for one in read(what(path, authors=("eve", "x@")), tmp_path)] == [Skipped, Numbered, Skipped]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"form": "docx"}, "there is no format"),
        ({"authors": ("jo",)}, "--author belongs to"),
        ({"role": "assistant", "form": "csv"}, "--role belongs to"),
        ({"columns": {"output": "x"}, "form": "text"}, "--map belongs to"),
        ({"encoding": "cp1252"}, "--encoding belongs to"),
        ({"encoding": "rot13", "form": "csv"}, "there is no encoding"),
        ({"role": "system"}, "there is no role"),
        ({"date_form": "dd.mm"}, "no form of dates"),
        ({"columns": {"answer": "x"}}, "no field of a text"),
        ({"body": True}, "--body belongs to"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, options: dict[str, object], expected: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("{}")
    with pytest.raises(InvalidInput, match=expected):
        what(file, **options)


def test_a_mapping_names_fields_of_items() -> None:
    assert column_pairs(["output=Answer", "date=When = then"]) == {"output": "Answer", "date": "When = then"}
    for wrong in ("output", "answer=x", "output=", "=x"):
        with pytest.raises(InvalidInput, match="maps nothing"):
            column_pairs([wrong])


def test_how_much_there_is_to_read_is_known_before(tmp_path: Path) -> None:
    mbox = tmp_path / "Sent"
    mbox.write_bytes(MBOX)
    assert amount(what(mbox)) == (len(MBOX), "bytes")
    (tmp_path / "a.md").write_text("x")
    assert amount(what(tmp_path / "a.md")) == (1, "files")
    assert amount(what("-")) == (None, "bytes")
