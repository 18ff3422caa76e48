"""help() of every public class fits on a page, and says of its fields and methods what they are."""

from __future__ import annotations

import inspect
import pydoc

import pytest

import edge_ttp

PAGE = 200
"""Lines of the longest: Runtime, whose every option is explained, then History and Registry."""


CLASSES = [name for name in edge_ttp.__all__ if inspect.isclass(getattr(edge_ttp, name))]


def shown(name: str) -> str:
    return pydoc.plain(pydoc.render_doc(getattr(edge_ttp, name)))


@pytest.mark.parametrize("name", CLASSES)
def test_help_fits_on_a_page(name: str) -> None:
    text = shown(name)
    assert len(text.splitlines()) <= (PAGE if name in ("Runtime", "History", "Registry") else 90), text
    if not issubclass(getattr(edge_ttp, name), Exception):
        assert "usage documentation" not in text.lower()  # pydantic's own


def test_help_says_of_every_field_what_it_is() -> None:
    text = shown("Budget")
    for name in edge_ttp.Budget.model_fields:
        assert f"{name} = " in text
    assert "Seconds for the whole call, recall to recording." in text
    assert "Keep the k most probable tokens" in shown("Sampling")


def test_help_leaves_out_what_only_other_rooms_call() -> None:
    for name, inner in (("Runtime", "serving"), ("Runtime", "prepared"), ("History", "save_posterior")):
        assert not any(line.startswith(f" |  {inner}(") for line in shown(name).splitlines())
        assert callable(getattr(getattr(edge_ttp, name), inner))  # hidden, not gone


def test_a_class_without_its_source_still_has_its_page() -> None:
    made = type("Made", (edge_ttp.Budget,), {"__doc__": "Made here.", "__module__": __name__})
    assert "deadline_s = None" in pydoc.plain(pydoc.render_doc(made))
