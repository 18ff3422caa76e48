"""`edge-ttp history pairs`: what an adapter that rewrites can be trained on, from the user's own texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from edge_ttp.cli.history_options import AllUsers, AsJson, Force, User, counted, open_history, selected
from edge_ttp.cli.output import emit_json, note


def pairs(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="Where to: one JSON object a line.")],
    user: User = None,
    all_users: AllUsers = False,
    kind: Annotated[str | None, typer.Option("--kind", help="Only texts of this kind.")] = None,
    size: Annotated[int, typer.Option("--size", min=1, max=16, help="Pairs of a passage, the task among them.")] = 4,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed, other pairs.")] = 0,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write training passages: plain versions of the user's texts at several depths, each with the text itself.

    A line: {"user_id", "kind", "depth", "pairs": [{"outline", "text"}, ...]}; the last pair is the task.
    """
    from edge_ttp.answer.plain_pairs import passages
    from edge_ttp.system.output_file import text_output

    whose = selected(user, all_users)
    with open_history() as history:
        items = [item for item in history.iterate_items(whose) if kind in (None, item.kind)]
        found = list(passages(items, seed=seed, size=size))
        with text_output(out, force=force, database=history.path) as file:
            for one in found:
                shown = [{"outline": pair.outline, "text": pair.text} for pair in one.pairs]
                line = {"user_id": one.user_id, "kind": one.kind, "depth": one.depth, "pairs": shown}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
    if as_json:
        emit_json({"file": str(out), "texts": len(items), "passages": len(found)})
    else:
        note(f"{counted(len(found), 'passage')} from {counted(len(items), 'text')} in {out}")
