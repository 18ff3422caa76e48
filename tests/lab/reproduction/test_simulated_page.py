"""The page on simulated users says what fails and what mends it."""

from __future__ import annotations

from edge_ttp.lab.reproduction.simulated_modes import simulated
from edge_ttp.lab.reproduction.simulated_page import simulated_part


def test_the_page_says_what_fails_and_what_mends_it() -> None:
    lines, pictures = simulated_part(simulated(seeds=1, resamples=20))
    text = "\n".join(lines)
    assert "**user-level collapse**: collapse c = 0." in text
    assert "**query-level hacking**: hacking h = 0." in text
    assert "**neither**: no failure told from 0" in text
    assert set(pictures) == {"simulated-1.svg", "simulated-2.svg"}
    assert all("<svg" in picture for picture in pictures.values())
