from __future__ import annotations

from edge_ttp.answer.particulars import particulars


def test_particulars_are_the_same_in_every_language_and_need_no_capital() -> None:
    assert particulars("see you thursday").keys() == particulars("bis Donnerstag").keys()
    assert particulars("three of them").keys() == particulars("drei davon").keys() == particulars("3 of them").keys()
    assert not particulars("we may march on, and I sat there")
    assert "name london" in particulars("We fly to London")
    assert not particulars("London calling")  # the first word of a sentence may be any word
