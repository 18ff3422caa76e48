"""docs/exchange.md says what is so."""

from __future__ import annotations

import re
import textwrap

from repository import DOCS

from edge_ttp.exchange import jsonl
from edge_ttp.history import importing, items
from edge_ttp.schema import HistoryItem

TEXT = (DOCS / "exchange.md").read_text(encoding="utf-8")


def test_the_example_line_is_read() -> None:
    found = re.findall(r"^    \{.*$", TEXT, re.MULTILINE)
    item = jsonl.parse(textwrap.dedent(found[0]).encode(), jsonl.LineReading(None, "me"))
    assert isinstance(item, HistoryItem)
    assert item.kind == "email"


def test_the_limits_of_the_page_are_those_of_the_code() -> None:
    assert f"longer than {jsonl.MAX_LINE // 1024**2} MiB" in TEXT
    assert f"the first {importing.MAX_NAMED} are named" in TEXT
    assert f"{importing.BATCH} at a time" in TEXT
    assert items.BATCH == importing.BATCH
