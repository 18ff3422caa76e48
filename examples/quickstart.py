"""The runtime in twenty lines: add what a user wrote, ask, judge.

python examples/quickstart.py
"""

from __future__ import annotations

import argparse

from edge_ttp import Budget, HistoryItem, Runtime

WROTE = [
    ("The build is green again.", "build: green. carry on."),
    ("The release slips by a day.", "release: slips a day. blame the docs."),
    ("A flaky test was deleted.", "flaky test: gone. nobody cried."),
    ("The office is closed on Monday.", "office: closed monday. sleep in."),
]


def main() -> None:
    """Adds four items for a user, asks for a fifth, accepts it."""
    with Runtime.open() as runtime:
        for given, written in WROTE:
            runtime.history.add(HistoryItem(user_id="ada", input=given, output=written))
        answer = runtime.generate("The server moves on Tuesday.", user="ada", budget=Budget(deadline_s=5))
        print(answer.text)
        print(answer.selection.reason)
        runtime.feedback(answer.generation_id, "accept")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
