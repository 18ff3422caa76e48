"""Who waits while the engine draws: the caller's thread, or nobody (aio.py)."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from edge_ttp.policy.job import Asked, Ended, Job
from edge_ttp.policy.request import Control, Sampled
from edge_ttp.schema import Generation


@dataclass(frozen=True)
class AtWork:
    """What the engine is drawing for a request, and who is told of its steps meanwhile."""

    job: Job[Sampled]
    control: Control

    def next_stop(self) -> Asked | Ended[Sampled]:
        """Waits for a question or the end, and tells of what comes before it."""
        while True:
            message = self.job.wait()
            if isinstance(message, (Asked, Ended)):
                return message
            self.control.hear(message)


Answering = Generator[AtWork, Asked | Ended[Sampled], Generation]
"""One request on its way: yields where the engine works, is sent what comes of it, returns the answer."""


def drive(answering: Answering) -> Generation:
    """The answer, waited for in this thread."""
    try:
        at_work = next(answering)
        while True:
            try:
                stop = at_work.next_stop()
            except BaseException as error:  # a callback's own error, or Ctrl-C
                answering.throw(error)
                raise
            at_work = answering.send(stop)
    except StopIteration as finished:
        generation: Generation = finished.value
        return generation
