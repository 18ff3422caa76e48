"""The docs: pages that are written from the code are what the code says, and no link leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from house.pages import PAGES
from repository import DOCS, ROOT

PROSE = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md")), *sorted((ROOT / "models").rglob("*.md"))]

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
FENCE = re.compile(r"```.*?```", re.DOTALL)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    plain = [re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading).lower() for heading in HEADING.findall(FENCE.sub("", text))]
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES)
def test_pages_written_from_the_code_are_up_to_date(page: str) -> None:
    assert (DOCS / page).read_text(encoding="utf-8") == PAGES[page](), "run `make docs`"


@pytest.mark.parametrize("page", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_relative_link_is_dead(page: Path) -> None:
    dead = []
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link or link.startswith("mailto:"):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            dead.append(link)
    assert dead == []


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    pages = [str(page.relative_to(DOCS)) for page in sorted(DOCS.rglob("*.md")) if page.name != "README.md"]
    assert [page for page in pages if f"({page})" not in index] == []


def test_every_room_is_in_the_plan_of_the_house() -> None:
    plan = (DOCS / "architecture.md").read_text(encoding="utf-8")
    rooms = {path.name for path in (ROOT / "edge_ttp").iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    modules = {path.name for path in (ROOT / "edge_ttp").glob("*.py")}
    assert sorted(one for one in {f"{room}/" for room in rooms} | modules if one not in plan) == []


def test_every_file_that_a_page_names_is_there() -> None:
    named = re.compile(r"`((?:edge_ttp|export|tests|examples|models|docs)/[\w./-]+\.(?:py|md|toml|npz|svg))`")
    missing = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in PROSE
        for name in named.findall(page.read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    ]
    assert missing == []


def test_every_target_that_a_page_names_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for page in PROSE for name in re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))}
    assert named - targets == set()
