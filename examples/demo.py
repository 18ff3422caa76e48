"""`make demo`: one model, the same prompts, two people and nobody in particular. What is personal about the answers?

Every line that begins with $ is a command you can type yourself.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import typer

from edge_ttp import Generation, Runtime
from edge_ttp.cli.generate import print_candidates
from edge_ttp.cli.main import run
from edge_ttp.samples import DEMO_PROMPTS, SAMPLE_USERS, sample_items, sample_path

REPOSITORY = Path(__file__).parent.parent
NOBODY = "somebody-new"
"""A user without a history."""
CANDIDATES = 8
SEED = 7


def command(*arguments: str) -> None:
    """Runs one edge-ttp command and shows how it is typed; leaves with its exit code if it fails."""
    typer.secho(f"\n$ {shlex.join(('edge-ttp', *arguments))}", bold=True)
    sys.stdout.flush()
    code = run(arguments)
    if code:
        sys.exit(code)


def answers(runtime: Runtime) -> dict[str, list[Generation]]:
    """Every prompt answered for everybody, printed as it comes; the answers by user."""
    users = (NOBODY, *SAMPLE_USERS)
    made: dict[str, list[Generation]] = {user: [] for user in users}
    for prompt in DEMO_PROMPTS:
        asked = ("generate", prompt, "--user", SAMPLE_USERS[0], "--n", str(CANDIDATES), "--seed", str(SEED))
        typer.secho(f"\n$ {shlex.join(('edge-ttp', *asked))}", bold=True)
        for user in users:
            generation = runtime.generate(prompt, user=user, n=CANDIDATES, seed=SEED)
            made[user].append(generation)
            text = " ".join(generation.text.split())
            typer.secho(f"{user} says: ", nl=False, dim=user == NOBODY)
            typer.secho(text, fg=None if user == NOBODY else "green", bold=user != NOBODY, dim=user == NOBODY)
            for near in runtime.history.recall(user, prompt, 1):
                typer.secho(f"    imitating, among others: {near.item.output}", dim=True)
    return made


def habits(texts: Sequence[str]) -> tuple[str, str, str]:
    """What can be counted of a way to write: texts that begin small, exclamation marks and words in a text."""
    count = len(texts)
    small = sum(text[:1].islower() for text in texts) / count
    marks = sum(text.count("!") for text in texts) / count
    words = sum(len(text.split()) for text in texts) / count
    return f"{small:.0%}", f"{marks:.1f}", f"{words:.0f}"


def tell_habits(made: dict[str, list[Generation]]) -> None:
    """Prints what is personal about the answers: the habits of each person beside those of the answers for them."""
    typer.echo("\nWhat is personal about them, counted:\n")
    typer.echo(f"{'':24}{'begin small':>13}{'! in a text':>13}{'words':>7}")
    rows: list[tuple[str, Sequence[str]]] = []
    for user in SAMPLE_USERS:
        rows.append((f"{user}'s own texts", [item["output"] for item in sample_items(user)]))
        rows.append((f"answers for {user}", [one.text for one in made[user]]))
    rows.append(("without a history", [one.text for one in made[NOBODY]]))
    for label, texts in rows:
        small, marks, words = habits(texts)
        typer.echo(f"{label:24}{small:>13}{marks:>13}{words:>7}")
    typer.echo("\nThe model is the same each time. What differs is what it was shown, and who judged its candidates.")


def main() -> None:
    """The demo."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    started = time.monotonic()
    typer.echo("Two people wrote about the same events, each in their own way. Their histories are imported:")
    for user in SAMPLE_USERS:
        command("history", "import", str(sample_path(user).relative_to(REPOSITORY)))
    typer.echo(f"\nNow {len(DEMO_PROMPTS)} events that neither wrote about, told by one model for each of them,")
    typer.echo(f"and for {NOBODY}, of whom nothing is known:")
    with Runtime.open() as runtime:
        runtime.warm()
        made = answers(runtime)
        tell_habits(made)
    last = made[SAMPLE_USERS[0]][-1]
    typer.echo(f"\nHow the last answer for {SAMPLE_USERS[0]} was chosen (--show-candidates):\n")
    print_candidates(last)
    typer.echo(f"N=1 would have said: {last.candidates[0].text}")
    typer.echo(
        f"\nDone in {time.monotonic() - started:.0f} s. Nothing left this machine. With your own texts:\n"
        "    edge-ttp history import FILE      mails, chats, notes, a table, or --git FOLDER\n"
        '    edge-ttp generate "..."           in your voice\n'
        "    edge-ttp chat --user mara         or go on with hers"
    )


if __name__ == "__main__":
    main()
