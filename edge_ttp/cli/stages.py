"""Progress of a job that has several stages: one bar on stderr after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from edge_ttp.cli.output import progress


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """Yields `report(stage, done, total)`; a bar is shown for each stage, on a terminal only."""
    with ExitStack() as bars:
        current = ""

        def forget(done: float) -> None:
            """No bar is open."""

        advance: Callable[[float], None] = forget

        def report(stage: str, done: int, total: int) -> None:
            nonlocal current, advance
            if stage != current:
                bars.close()
                current, advance = stage, bars.enter_context(progress(stage, total, unit=""))
            advance(done)

        yield report
