"""What a text or a judgment says of a pool of candidates."""

from __future__ import annotations

from datetime import UTC, datetime

from edge_ttp.learning.evidence import as_evidence, judged, written
from edge_ttp.reward.utility import utility
from edge_ttp.schema import Feedback, HistoryItem

from .three_texts import REWARD, TEXTS, layer


def test_a_written_text_gives_every_candidate_its_utility() -> None:
    item = HistoryItem(user_id="ann", input="say", output="a longer one", created_at=datetime(2026, 1, 1, tzinfo=UTC))
    found = written(item, layer(), TEXTS)
    assert found.kind == "written"
    assert found.utility is not None
    assert found.utility.tolist() == [utility(text, item.output) for text in TEXTS]


def test_an_edit_is_a_label_and_other_judgments_are_not() -> None:
    edit = Feedback(generation_id="g", user_id="ann", kind="edit", candidate=0, text="a longer one")
    labelled = judged(edit, layer(), TEXTS)
    assert labelled.utility is not None
    assert labelled.utility.tolist() == [utility(text, "a longer one") for text in TEXTS]
    prefer = judged(Feedback(generation_id="g", user_id="ann", kind="prefer", candidate=2), layer(), TEXTS)
    assert (prefer.kind, prefer.utility, prefer.candidate) == ("prefer", None, 2)


def test_every_judgment_keeps_its_candidate_its_time_and_its_layer() -> None:
    when = datetime(2026, 5, 1, tzinfo=UTC)
    for kind in ("accept", "reject", "copied", "regenerated"):
        given = Feedback(generation_id="g", user_id="ann", kind=kind, candidate=1, created_at=when)  # type: ignore[arg-type]
        found = judged(given, layer(), TEXTS)
        assert (found.kind, found.candidate, found.utility) == (kind, 1, None)
        assert found.moment == 1777593600000
        assert found.layer.reward == REWARD.fingerprint


def test_the_posterior_gets_the_stored_numbers() -> None:
    stored = written(HistoryItem(user_id="ann", input="say", output="short"), layer(), TEXTS)
    evidence = as_evidence(stored)
    assert (evidence.kind, evidence.candidate) == ("written", stored.candidate)
    assert evidence.features is stored.layer.features
    assert evidence.noise is stored.layer.noise
    assert evidence.utility is stored.utility
