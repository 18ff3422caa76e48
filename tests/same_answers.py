"""The same answers as an older commit: `make same-answers BEFORE=commit` (not collected by pytest; takes some minutes).

The older commit is laid out in a temporary `git worktree`. Both trees answer the same requests with the same seeds and
fixed numbers of candidates, each in a home of its own with the same history; what is printed has to be equal to the
byte, but for what tells the time and for random ids.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MODELS = Path(os.environ.get("EDGE_TTP_TEST_MODELS", ROOT / ".edge-ttp")).resolve() / "data" / "models"
POLICY = "smollm2-135m-instruct"
_PER_RUN = ("generation_id", "created_at", "timings")
_PER_DEVICE = ("expected_s",)

SCHEMA = '{"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"]}'
GRAMMAR = 'root ::= ("yes" | "no") ", " [a-z]+ "."'

REQUESTS: tuple[tuple[str, ...], ...] = (
    ("Can you make it on Friday?", "--user", "mara"),
    ("Can you make it on Friday?", "--user", "theo"),
    ("What do you think of the new office?", "--user", "mara", "--select", "mean"),
    ("What do you think of the new office?", "--user", "mara", "--select", "shrink"),
    ("What do you think of the new office?", "--user", "mara", "--select", "thompson"),
    ("What do you think of the new office?", "--user", "mara", "--select", "consensus"),
    ("What do you think of the new office?", "--user", "mara", "--select", "logprob"),
    ("What do you think of the new office?", "--user", "mara", "--select", "first"),
    ("Tell me about your weekend", "--user", "nobody"),
    ("Tell me about your weekend", "--user", "theo", "--examples", "0"),
    ("Tell me about your weekend", "--user", "theo", "--examples", "8", "--seed", "12345"),
    ("Is the report done?", "--user", "mara", "--grammar", GRAMMAR),
    ("Which colour?", "--user", "theo", "--json-schema", SCHEMA, "--max-tokens", "40"),
    ("Hot and cold", "--user", "theo", "--temperatures", "0.3,0.9,1.4"),
    ("Greedy", "--user", "mara", "--temperature", "0"),
    ("Say it again", "--user", "mara", "--repetition-penalty", "1.3", "--frequency-penalty", "0.2", "--top-k", "0"),
    ("Not the usual", "--user", "theo", "--typical-p", "0.7", "--logit-bias", " the=-5", "--logit-bias", "5=-1000"),
    ("Stop early", "--user", "mara", "--stop", ".", "--stop", ",", "--n", "12"),
    ("As text, please", "--user", "mara", "--model", "FILE"),
    ("As text, please", "--user", "nobody", "--model", "FILE", "--select", "consensus", "--no-share"),
)


def main(before: str) -> int:
    """Compares this tree with `before`; 0 where all answers are equal."""
    with tempfile.TemporaryDirectory(prefix="edge-ttp-same-") as folder:
        older = Path(folder) / "older"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", older, before], cwd=ROOT, check=True)
        try:
            theirs = _answers(older, Path(folder) / "older-home")
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", older], cwd=ROOT, check=True)
        ours = _answers(ROOT, Path(folder) / "home")
    wrong = [place for place, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one != other]
    for place in wrong:
        print(f"differs: {' '.join(REQUESTS[place])}\n  {before}: {theirs[place]}\n  now: {ours[place]}")
    print(f"{len(REQUESTS) - len(wrong)} of {len(REQUESTS)} answers are those of {before}")
    return int(bool(wrong))


def _answers(tree: Path, home: Path) -> list[str]:
    """What the command line of `tree` prints for each request, in a fresh home."""
    store = home / "data" / "models" / POLICY
    store.mkdir(parents=True)
    for file in (MODELS / POLICY).iterdir():
        (store / file.name).symlink_to(file)
    environment = {**os.environ, "EDGE_TTP_HOME": str(home), "PYTHONPATH": str(tree)}
    arguments = [sys.executable, str(Path(__file__)), "--answer"]
    done = subprocess.run(arguments, cwd=tree, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()


def _answer_all() -> None:
    """Prints an answer a line, by whatever edge_ttp is on the path."""
    from edge_ttp.cli.main import run

    policy = next((Path(os.environ["EDGE_TTP_HOME"]) / "data" / "models" / POLICY).glob("*.gguf"))
    for name in ("mara", "theo"):
        with contextlib.redirect_stdout(io.StringIO()):
            assert run(["history", "import", str(Path.cwd() / "edge_ttp" / "samples" / f"{name}.jsonl")]) == 0
    for number, request in enumerate(REQUESTS):
        given = [str(policy) if part == "FILE" else part for part in request]
        usual = {"--n": "5", "--seed": str(number), "--max-tokens": "24", "--threads": "1"}
        extra = [part for name, value in usual.items() if name not in given for part in (name, value)]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            failed = run(["generate", *given, *extra, "--json"])
        if failed:
            sys.exit(f"{' '.join(request)}: {printed.getvalue()}")
        print(json.dumps(_lasting(json.loads(printed.getvalue())), ensure_ascii=False), flush=True)


def _lasting(value: Any) -> Any:
    """`value` without what differs from run to run."""
    if isinstance(value, dict):
        return {key: _lasting(one) for key, one in value.items() if key not in (*_PER_RUN, *_PER_DEVICE)}
    return [_lasting(one) for one in value] if isinstance(value, list) else value


if __name__ == "__main__":
    if sys.argv[1:] == ["--answer"]:
        _answer_all()
    else:
        sys.exit(main(*sys.argv[1:]))
