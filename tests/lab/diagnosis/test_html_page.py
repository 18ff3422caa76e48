"""The page: one file without network or script, well formed, every text from the data escaped."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edge_ttp.lab.diagnosis.candidate_texts import texts_of
from edge_ttp.lab.diagnosis.html_page import page
from edge_ttp.lab.diagnosis.line_source import LineSource
from edge_ttp.lab.diagnosis.verdict import limits, verdict
from tests.lab.diagnosis.conftest import Judge, Judged
from tests.lab.diagnosis.makers import collapsed_for_a_third, flipped_for_a_fifth, good_model, write

VOID = {"meta", "link", "br", "img", "hr", "input"}
EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>\x1b[2J\u202e"


class Checker(HTMLParser):
    """Collects tags and attributes, and fails where tags do not match."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def checked(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []
    return checker


def rendered(judged: Judged, texts: dict[int, str] | None = None) -> str:
    table, found = judged
    return page(found, table, texts or {}, verdict=verdict(found), limits=limits(found, table, ("utility", "score")))


def evil_rows() -> list[dict[str, object]]:
    rows = flipped_for_a_fifth(collapsed_for_a_third(good_model(users=20)))
    return [
        {**row, "user_id": f"{EVIL}{row['user_id']}", "query_id": f"{EVIL}{row['query_id']}", "text": EVIL}
        for row in rows
    ]


@pytest.mark.parametrize("name", ["good", "collapsed", "flipped", "length"])
def test_the_page_is_well_formed_and_shows_everything(models: dict[str, Judged], name: str) -> None:
    html = rendered(models[name])
    checker = checked(html)
    words = " ".join(checker.words)
    for heading in ("Verdict", "The four quantities", "What more candidates buy", "For whom?"):
        assert heading in words
    for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(svg)
        assert "nan" not in svg
    assert checker.tags.count("svg") >= 5


def test_the_page_needs_no_network_and_runs_nothing(models: dict[str, Judged]) -> None:
    html = rendered(models["flipped"])
    checker = checked(html)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form"} & set(checker.tags)
    assert not [name for name, _ in checker.attributes if name in ("src", "href") or name.startswith("on")]
    assert "url(" not in html
    assert "@import" not in html
    assert "http://" not in html
    assert "https://" not in html
    assert "default-src 'none'" in html
    assert "prefers-color-scheme: dark" in html


@pytest.mark.slow
def test_what_comes_from_the_data_cannot_become_markup(judged: Judge, tmp_path: Path) -> None:
    path = write(tmp_path / "evil.jsonl", evil_rows())
    table, found = judged(evil_rows())
    wanted = [shown.line for query in found.hacked for shown in (query.preferred, query.best)]
    texts = texts_of(LineSource.of(str(path)), wanted)
    assert set(texts.values()) == {EVIL}
    html = rendered((table, found), texts)
    checker = checked(html)
    assert not {"script", "img"} & set(checker.tags)
    assert not [name for name, _ in checker.attributes if name.startswith("on")]
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "alert(1)" in " ".join(checker.words)  # shown as text
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize(
    "rows",
    [
        good_model(size=1, users=3, queries=4),
        [{**row, "utility": 0.5} for row in good_model(users=3, queries=4)],
        good_model(users=1, queries=2, size=2),
        [{key: value for key, value in row.items() if key != "score"} for row in good_model(users=3)],
        [{key: value for key, value in row.items() if key != "utility"} for row in good_model(users=3)],
        [{**row, "score": 1} for row in good_model(users=10)],
        ["not json", *good_model(users=3, queries=2)],
    ],
)
def test_poor_pools_make_a_page_too(judged: Judge, rows: list[object]) -> None:
    html = rendered(judged(rows))  # type: ignore[arg-type]
    assert "What these pools cannot tell" in " ".join(checked(html).words)
    for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        assert "nan" not in svg


@pytest.mark.slow
def test_many_users_are_thinned_out_and_the_sick_are_kept(judged: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_ttp.lab.diagnosis.html_page.MOST_DOTS", 40)
    html = rendered(judged(collapsed_for_a_third(good_model(users=90, queries=10, size=8))))
    figure = html[html.index("For whom?") : html.index("<figcaption><ul class=legend>")]
    assert figure.count('<g class="dot collapsed">') == 30
    assert 5 <= figure.count('<g class="dot works">') <= 10
    assert "Every 6th of the others is drawn." in html
