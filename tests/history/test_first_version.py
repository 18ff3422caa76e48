"""A history that the code of 0.1.0 wrote (history_0_1_0.db.gz, five invented texts) opens as it is."""

from __future__ import annotations

import gzip
from pathlib import Path

from edge_ttp.history import History
from edge_ttp.schema import HistoryItem

WRITTEN = Path(__file__).with_name("history_0_1_0.db.gz")


def test_a_history_of_0_1_0_opens_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    path.write_bytes(gzip.decompress(WRITTEN.read_bytes()))
    with History.open(path) as history:
        assert history.users() == ["ann", "bob"]
        assert [item.output for item in history.items("bob")] == ["Gerne, um zwölf."]
        assert {item.output for item in history.items("ann")} >= {
            "Sure, see you at eight!",
            "Long, and wet, and lovely.",
        }
        assert history.recall("ann", "Friday", 1)[0].item.output == "Sure, see you at eight!"
        history.add(HistoryItem(user_id="bob", input="And now?", output="It goes on."))
        assert history.count("bob") == 2
        assert history.health(full=True).problems == ()
