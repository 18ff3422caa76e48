"""A process that writes to a history and says what was acknowledged: one line on stdout per committed row.

Usage: writer.py DATABASE NAME SECONDS. Each line is `item ID`, `generation ID` or `feedback ID`, printed after the call
returned. The last line is `done LONGEST` (seconds of the slowest write).
"""

from __future__ import annotations

import sys
import time

from edge_ttp.history import History
from edge_ttp.schema import Candidate, Feedback, Generation, HistoryItem, Plan, Sampling, Selection, Timings, Usage

CANDIDATES = 4


def generation(name: str, user: str) -> Generation:
    candidates = tuple(
        Candidate(text=f"{name} text {at} " * 20, tokens=5, logprob=-1.0, finish_reason="stop", seed=at, mean=0.5)
        for at in range(CANDIDATES)
    )
    return Generation(
        text=candidates[1].text,
        generation_id=name,
        user=user,
        prompt=f"prompt of {name}",
        model="tiny",
        n=CANDIDATES,
        chosen=1,
        candidates=candidates,
        selection=Selection(rule="mean", reason="highest mean"),
        plan=Plan(n=CANDIDATES, bound_by="requested", max_tokens=5, examples=0),
        timings=Timings(),
        usage=Usage(prompt_tokens=5, completion_tokens=20),
        seed=1,
        sampling=Sampling(),
    )


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(database: str, name: str, seconds: float) -> None:
    user = f"user {name}"
    longest, number, end = 0.0, 0, time.monotonic() + seconds
    with History.open(database) as history:
        while time.monotonic() < end:
            number += 1
            began = time.monotonic()
            say(f"item {history.add(HistoryItem(user_id=user, input=f'input {number}', output=f'{name}-{number}')).id}")
            middle = time.monotonic()
            history.record(generation(f"{name}-{number}", user))
            say(f"generation {name}-{number}")
            late = time.monotonic()
            edit = Feedback(
                generation_id=f"{name}-{number}", user_id=user, kind="edit", candidate=1, text=f"edit {name}-{number}"
            )
            say(f"feedback {history.add_feedback(edit).id}")
            longest = max(longest, middle - began, late - middle, time.monotonic() - late)
    say(f"done {longest:.3f}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
