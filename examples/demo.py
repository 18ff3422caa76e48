"""`make demo`: two people's histories and this repository's log, then the same three prompts answered in each voice.

Every line that begins with $ is a command you can type yourself.
"""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

import typer

from edge_ttp import Runtime
from edge_ttp.cli.generate import print_candidates
from edge_ttp.cli.main import run
from edge_ttp.samples import DEMO_PROMPTS, SAMPLE_USERS, sample_path

REPOSITORY = Path(__file__).parent.parent
LOG_USER = "this-repository"
CANDIDATES = 8
SEED = 7


def command(*arguments: str) -> None:
    """Runs one edge-ttp command and shows how it is typed; leaves with its exit code if it fails."""
    typer.secho(f"\n$ {shlex.join(('edge-ttp', *arguments))}", bold=True)
    sys.stdout.flush()
    code = run(arguments)
    if code:
        sys.exit(code)


def main() -> None:
    """The demo."""
    started = time.monotonic()
    typer.echo("Two people wrote about the same events, each in their own way. Their histories are imported:")
    for user in SAMPLE_USERS:
        command("history", "import", str(sample_path(user).relative_to(REPOSITORY)))
    users = [*SAMPLE_USERS]
    if (REPOSITORY / ".git").exists():
        typer.echo("\nA third voice: the commit messages of this repository.")
        command("history", "import", "--git", ".", "--user", LOG_USER)
        users.append(LOG_USER)
    command("history", "stats", "--all-users")

    typer.echo(f"\nThe same {len(DEMO_PROMPTS)} prompts, answered by one model for each of them:")
    with Runtime.open() as runtime:
        runtime.warm()
        for prompt in DEMO_PROMPTS:
            for user in users:
                asked = ("generate", prompt, "--user", user, "--n", str(CANDIDATES), "--seed", str(SEED))
                typer.secho(f"\n$ {shlex.join(('edge-ttp', *asked, '--show-candidates'))}", bold=True)
                generation = runtime.generate(prompt, user=user, n=CANDIDATES, seed=SEED)
                print_candidates(generation)
                typer.echo(f"N=1 would have said: {generation.candidates[0].text}")
                typer.secho(f"{user} says: {generation.text}", fg="green", bold=True)
    typer.echo(
        f"\nDone in {time.monotonic() - started:.0f} s. Nothing left this machine. Next: edge-ttp chat --user mara"
    )


if __name__ == "__main__":
    main()
