"""The same answers as an older commit: `make same-answers BEFORE=commit` (not collected by pytest; half a minute each).

Both trees are laid out in temporary folders and answer the same requests with the same seeds and fixed numbers of
candidates, each in a home of its own with the same history. Compared are the texts of all candidates and the choice,
byte for byte; told besides is how many answers are equal in every field, but for what tells the time and random ids.
With `--when` the commits between the two are halved until it is known which one changed each answer.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
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


Answers = list[dict[str, Any]]
"""What a tree prints for each of REQUESTS."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares two trees; 0 where all answers have the same texts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("before", help="the older commit")
    parser.add_argument("--after", default="HEAD", help="the newer one (HEAD: as it is committed)")
    parser.add_argument("--when", action="store_true", help="also find the commit that changed each answer")
    parser.add_argument("--kept", type=Path, help="folder where answers are kept by commit, to go on with later")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="edge-ttp-same-") as folder:
        trees = Trees(given.kept or Path(folder) / "kept")
        before, after = trees.named(given.before), trees.named(given.after)
        theirs, ours = trees.answers(before), trees.answers(after)
        if theirs is None or ours is None:
            sys.exit(f"{(before if theirs is None else after)[:7]} does not answer: see above")
        apart = [place for place, pair in enumerate(zip(theirs, ours, strict=True)) if texts(pair[0]) != texts(pair[1])]
        whole = sum(one == other for one, other in zip(theirs, ours, strict=True))
        print(f"{before[:7]} and {after[:7]}: {len(REQUESTS) - len(apart)} of {len(REQUESTS)} answers have the same")
        print(f"candidates and choice, byte for byte; {whole} are the same in every number, note and field besides")
        changed = trees.changes(before, after) if given.when and apart else {}
        for place in apart:
            print(f"differs: {' '.join(REQUESTS[place])}")
            for commit in changed.get(place, ()):
                print(f"  since {trees.told(commit)}")
    return int(bool(apart))


def texts(answer: dict[str, Any]) -> tuple[Any, ...]:
    """What a person sees of an answer: its text, which candidate it was, and all of them."""
    return answer["text"], answer["chosen"], [one["text"] for one in answer["candidates"]]


class Trees:
    """Answers of commits, each laid out in a folder of its own and kept once it has answered."""

    def __init__(self, kept: Path) -> None:
        self._kept = kept
        kept.mkdir(parents=True, exist_ok=True)

    def named(self, commit: str) -> str:
        """The full name of a commit."""
        return _git("rev-parse", f"{commit}^{{commit}}").strip()

    def told(self, commit: str) -> str:
        """A commit in one line."""
        return _git("log", "-1", "--format=%h %s", commit).strip()

    def answers(self, commit: str) -> Answers | None:
        """What the commit's command line prints for each request; None where it does not work."""
        file = self._kept / f"{commit}.json"
        if not file.exists():
            with tempfile.TemporaryDirectory(prefix="edge-ttp-tree-") as folder:
                tree = Path(folder) / "tree"
                with tarfile.open(fileobj=io.BytesIO(_git_bytes("archive", commit, "edge_ttp", "models"))) as packed:
                    packed.extractall(tree, filter="data")
                file.write_text(json.dumps(_answers(tree, Path(folder) / "home")), encoding="utf-8")
        kept: Answers | None = json.loads(file.read_text(encoding="utf-8"))
        return kept

    def changes(self, before: str, after: str) -> dict[int, list[str]]:
        """The commits between the two that changed each request's answer, oldest first; found by halving."""
        commits = [before, *_git("rev-list", "--reverse", f"{before}..{after}", "--", "edge_ttp", "models").split()]
        if commits[-1] != after:
            commits.append(after)
        found: dict[int, list[str]] = {}
        self._halve(commits, found)
        return found

    def _halve(self, commits: list[str], found: dict[int, list[str]]) -> None:
        """The first and the last of `commits` have answers."""
        first, last = self.answers(commits[0]), self.answers(commits[-1])
        assert first is not None
        assert last is not None
        apart = [place for place, pair in enumerate(zip(first, last, strict=True)) if texts(pair[0]) != texts(pair[1])]
        if not apart:
            return
        places = sorted(range(1, len(commits) - 1), key=lambda place: abs(place - len(commits) // 2))
        middle = next((place for place in places if self.answers(commits[place]) is not None), None)
        if middle is None:
            for place in apart:
                found.setdefault(place, []).append(commits[-1])
            return
        self._halve(commits[: middle + 1], found)
        self._halve(commits[middle:], found)


def _git(*arguments: str) -> str:
    return _git_bytes(*arguments).decode()


def _git_bytes(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout


def _answers(tree: Path, home: Path) -> Answers | None:
    """What the command line of `tree` prints for each request, in a fresh home."""
    store = home / "data" / "models" / POLICY
    store.mkdir(parents=True)
    for file in (MODELS / POLICY).iterdir():
        (store / file.name).symlink_to(file)
    environment = {**os.environ, "EDGE_TTP_HOME": str(home), "PYTHONPATH": str(tree)}
    arguments = [sys.executable, str(Path(__file__)), "--answer"]
    done = subprocess.run(arguments, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr.strip()[-300:], file=sys.stderr)
        return None
    return [json.loads(line) for line in done.stdout.splitlines()]


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
        sys.exit(main())
