"""The blind page: it does not say whose texts are whose, and what was judged is counted by where it came from."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_ttp.cli.main import app
from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench import voice_page
from edge_ttp.lab.bench.voice_page import KNOWN, Sheet, html, key, key_of, read_verdicts, sheets, tally
from tests.lab.bench.test_halves import write
from tests.lab.bench.test_voice_scale import Halves, made_corpus

SHEET = Sheet(("known <b>",), (("mine", "own"), ("theirs & 'x'", "stranger"), ("drawn", "drawn")), "1")


def test_the_answers_stand_beside_the_page_and_not_in_it() -> None:
    page = html([SHEET])
    assert json.loads(key([SHEET])) == {"1.0": "own", "1.1": "stranger", "1.2": "drawn"}
    assert key_of(Path("a/page.html")) == Path("a/page.html.key.json")
    assert "stranger" not in page
    assert "known &lt;b&gt;" in page
    assert "theirs &amp; &#x27;x&#x27;" in page
    names: list[str] = []

    class Inputs(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "input":
                names.append(str(dict(attrs)["name"]))

    Inputs().feed(page)
    assert names == [f"1.{place}" for place in range(3) for _ in ("yes", "no")]


def test_verdicts_are_counted_by_where_a_text_came_from() -> None:
    answers = {"1.0": "own", "1.1": "own", "1.2": "stranger", "1.3": "drawn", "1.4": "drawn"}
    judged = {"1.0": "yes", "1.1": "no", "1.2": "no", "1.4": "yes", "9.9": "yes"}
    assert tally(answers, judged) == [
        {"origin": "own", "judged": 2, "taken": 0.5},
        {"origin": "drawn", "judged": 1, "taken": 1.0},
        {"origin": "stranger", "judged": 1, "taken": 0.0},
    ]
    assert tally(answers, {}) == []


@pytest.mark.parametrize("text", ["{", "[1]", '{"1.0": 1}', '{"1.0": "maybe"}'])
def test_what_holds_no_verdicts_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "verdicts.json").write_text(text)
    with pytest.raises(InvalidInput):
        read_verdicts(tmp_path / "verdicts.json")
    with pytest.raises(InvalidInput):
        read_verdicts(tmp_path / "nothing")


def test_a_sheet_holds_own_and_strangers_texts_and_the_same_every_time(tmp_path: Path) -> None:
    made = sheets(write(tmp_path), ["notes"], None, users=2)
    assert [one.name for one in made] == ["1", "2"]
    for one in made:
        assert len(one.known) == KNOWN
        assert sorted(origin for _, origin in one.asked) == ["own"] * 4 + ["stranger"] * 4
    assert any([origin for _, origin in one.asked] != sorted(origin for _, origin in one.asked) for one in made)
    assert sheets(tmp_path, ["notes"], None, users=2) == made


def test_a_blind_page_does_not_say_whose_texts_are_whose(halves: Halves, tmp_path: Path) -> None:
    folder, page = made_corpus(tmp_path, halves), tmp_path / "page.html"
    asked = ["bench", "voice", "--data", str(folder), "--task", "notes", "--page", str(page)]
    assert CliRunner().invoke(app, asked).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert "stranger" not in text
    assert "user 1" not in text
    assert "http" not in text.replace("http-equiv", "")
    assert CliRunner().invoke(app, asked).exit_code != 0  # it would be lost
    key = voice_page.read_key(page)
    assert set(key.values()) == {"own", "stranger"}
    verdicts = {name: "yes" if origin == "own" else "no" for name, origin in list(key.items())[:-1]}
    (tmp_path / "verdicts.json").write_text(json.dumps(verdicts), encoding="utf-8")
    told = ["bench", "voice", "--page", str(page), "--verdicts", str(tmp_path / "verdicts.json"), "--json"]
    run = CliRunner().invoke(app, told)
    assert run.exit_code == 0, run.output
    taken = {row["origin"]: row["taken"] for row in json.loads(run.stdout)["rows"]}
    assert taken == {"own": 1.0, "stranger": 0.0}
    (tmp_path / "verdicts.json").write_text('{"1.0": "maybe"}', encoding="utf-8")
    assert CliRunner().invoke(app, told).exit_code != 0
