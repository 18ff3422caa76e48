"""An assistant in a terminal that shows candidates as they come: Runtime.stream from a program of your own.

python examples/assistant.py "The printer is broken again" mara
"""

from __future__ import annotations

import argparse
import sys

from edge_ttp import EdgeTTPError, Runtime


def main(prompt: str, user: str) -> int:
    """Prints candidates as they finish, then the chosen one; returns the exit code."""
    try:
        with Runtime.open() as runtime:
            for event in runtime.stream(prompt, user=user, n=8):
                if event.type == "planned":
                    print(f"drawing {event.n} candidates")
                elif event.type == "finished":
                    print(f"  {event.candidate}: {event.text}")
                elif event.type == "done":
                    print(f"-> {event.text}")
    except EdgeTTPError as error:  # one line: the fact and the cure
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompt", nargs="?", default="The printer is broken again.")
    parser.add_argument("user", nargs="?", default="me")
    sys.exit(main(**vars(parser.parse_args())))
