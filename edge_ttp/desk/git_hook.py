"""Git hooks: a commit's staged changes in, a message in the committer's voice as a suggestion, what was committed back.

`prepare-commit-msg` writes the suggestion into the message file; `post-commit` tells what was really committed. Others'
hooks go on: ours is called from a marked block in theirs. Whatever fails here, the commit goes on.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.git_log import FileChange, summary
from edge_ttp.history.user import default_user
from edge_ttp.runtime import Runtime
from edge_ttp.schema import Budget, FeedbackKind, Generation, Sampling

HOOKS = ("prepare-commit-msg", "post-commit")
KIND = "commit"
BEGIN, END = "# >>> edge-ttp", "# <<< edge-ttp"
PENDING = "edge-ttp-commit.json"
"""In the folder of this worktree's own git files: the suggestion that the next commit may be made of."""

_SIGNED = ("log.showSignature=false", "gpg.program=false")
"""What a signature says would stand before the subject."""

DEADLINE_S = 20.0
WRITTEN_BY_GIT = ("message", "template", "merge", "squash", "commit")
"""Sources of a message that is there already: `git commit -m`, a merge, an amended commit."""


@dataclass(frozen=True)
class Hooked:
    """A hook file, and whether ours is in it."""

    path: Path
    installed: bool
    others: bool
    """Whether it does something else besides."""


def hooks(repository: Path) -> list[Hooked]:
    """The state of both hooks. InvalidInput where there is no repository."""
    return [_state(_folder(repository) / name) for name in HOOKS]


def install(repository: Path, *, user: str | None = None, command: str | None = None) -> list[Hooked]:
    """Puts our block into both hooks, in front of what is there already. May be called again.

    `command`: what runs us, as a shell writes it; by default this Python. InvalidInput where there is no repository, or
    a hook is no shell script.
    """
    folder = _folder(repository)
    run = command or shlex.join([sys.executable, "-m", "edge_ttp"])
    states = [_state(folder / name) for name in HOOKS]
    texts = {state.path: _without(_read(state.path)) for state in states}
    for path, text in texts.items():
        first = text.split("\n", 1)[0]
        if text.strip() and not re.match(r"#!.*\b(?:ba|da|z|k)?sh\b", first):
            raise InvalidInput(f"the hook {path} is no shell script", f"call `{run} hook run` from it yourself")
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        shebang, _, rest = text.partition("\n") if text.strip() else ("#!/bin/sh", "", "")
        options = f" --user {shlex.quote(user)}" if user else ""
        call = f'{run} hook run {path.name}{options} -- "$@" </dev/null || true'
        _write(path, f"{shebang}\n{BEGIN}\n{call}\n{END}\n{rest}")
    return [_state(folder / name) for name in HOOKS]


def uninstall(repository: Path) -> list[Hooked]:
    """Takes our block out of both hooks; a hook that was ours alone goes."""
    folder = _folder(repository)
    for name in HOOKS:
        state = _state(folder / name)
        if not state.installed:
            continue
        if state.others:
            _write(state.path, _without(_read(state.path)))
        else:
            state.path.unlink()
    _pending(repository).unlink(missing_ok=True)
    return [_state(folder / name) for name in HOOKS]


def suggest(
    runtime: Runtime, repository: Path, message: Path, source: str, *, user: str | None = None
) -> Generation | None:
    """Writes a suggestion into git's message file, above what git wrote there; None where nothing is to be said."""
    if source in WRITTEN_BY_GIT:
        _pending(repository).unlink(missing_ok=True)
        return None
    staged = describe(repository)
    before = message.read_text(encoding="utf-8", errors="surrogateescape")
    if not staged or any(line.strip() and not line.startswith("#") for line in before.splitlines()):
        return None
    name = user or default_user(runtime.paths)
    if not runtime.history.items(name, kind=KIND, limit=1):
        # Whoever closes the editor commits what stands there: better nothing than what is in nobody's voice.
        raise InvalidInput(f"no commit messages of {name} to go by", "edge-ttp history import --git REPOSITORY")
    made = runtime.generate(
        staged,
        user=name,
        kind=KIND,
        budget=Budget(deadline_s=DEADLINE_S),
        sampling=Sampling(stop=("\n",)),
    )
    line = made.text.strip().split("\n", 1)[0].strip()
    if not line or line.startswith("#"):
        return None
    _write(message, f"{line}\n{before}", mode=None)
    pending = _pending(repository)
    pending.write_text(json.dumps({"generation": made.generation_id, "user": made.user}), encoding="utf-8")
    return made


def waits(repository: Path) -> bool:
    """Whether a suggestion was made for the commit that was just made."""
    return _pending(repository).exists()


def committed(runtime: Runtime, repository: Path) -> str | None:
    """Tells what was committed of the suggestion: `accept` or `edit`; None where none was made for this commit."""
    pending = _pending(repository)
    try:
        waiting = json.loads(pending.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    pending.unlink(missing_ok=True)
    if not isinstance(waiting, dict) or not {"generation", "user"} <= waiting.keys():
        return None
    subject = _git(repository, "log", "-1", "--format=%s").strip()
    if not subject:
        return None
    made = runtime.history.generation(str(waiting["generation"]), str(waiting["user"]))
    kind: FeedbackKind = (
        "accept" if subject == made.text.strip().split("\n", 1)[0].strip() == made.text.strip() else "edit"
    )
    runtime.feedback(made.generation_id, kind, text=None if kind == "accept" else subject)
    return kind


def describe(repository: Path) -> str:
    """The staged changes in the words that `history import` has for a commit; empty where nothing is staged."""
    found = []
    fields = _git(repository, "diff", "--cached", "--numstat", "-z", "--no-renames", "--no-ext-diff").split("\0")
    for field in fields:
        added, _, rest = field.partition("\t")
        removed, _, path = rest.partition("\t")
        if path:
            binary = added == "-"
            found.append(FileChange(path, None if binary else int(added), None if binary else int(removed)))
    return summary(found) if found else ""


def _folder(repository: Path) -> Path:
    """Where this repository's hooks lie, worktrees and core.hooksPath included."""
    return _absolute(repository, _git(repository, "rev-parse", "--git-path", "hooks").strip())


def _pending(repository: Path) -> Path:
    return _absolute(repository, _git(repository, "rev-parse", "--git-path", PENDING).strip())


def _absolute(repository: Path, path: str) -> Path:
    return (repository / path).resolve()


def _git(repository: Path, *arguments: str) -> str:
    # A repository may name programs to run: nothing here may start one.
    settings = ("core.fsmonitor=false", "core.pager=cat", "core.quotePath=false", "diff.external=", *_SIGNED)
    safe = [part for one in settings for part in ("-c", one)]
    try:
        done = subprocess.run(
            ["git", *safe, *arguments],
            cwd=repository,
            capture_output=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        raise InvalidInput(
            f"git cannot be run in {repository}: {error.strerror}", "install git, name a folder"
        ) from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["git failed"]
        raise InvalidInput(f"{repository}: {said[0]}", "run it in a git repository")
    return done.stdout.decode("utf-8", errors="replace")


def _state(path: Path) -> Hooked:
    text = _read(path)
    rest = _without(text).partition("\n")[2] if text.startswith("#!") else _without(text)
    return Hooked(path, BEGIN in text, bool(rest.strip()))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise InvalidInput(f"the hook {path} cannot be read: {error.strerror}", "see who owns it") from error


def _without(text: str) -> str:
    """A hook's text without our block."""
    return re.sub(rf"^{re.escape(BEGIN)}\n.*?^{re.escape(END)}\n", "", text, flags=re.DOTALL | re.MULTILINE)


def _write(path: Path, text: str, *, mode: int | None = 0o755) -> None:
    """Writes the file whole or not at all."""
    beside = path.with_name(f".{path.name}.edge-ttp")
    try:
        beside.write_text(text, encoding="utf-8", errors="surrogateescape")
        beside.chmod(path.stat().st_mode if path.exists() else 0o644 if mode is None else mode)
        if mode is not None:
            beside.chmod(beside.stat().st_mode | 0o111)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise InvalidInput(f"{path} cannot be written: {error.strerror}", "see who owns it") from error


def quietly(error: BaseException) -> str:
    """What a hook says of a failure, in one line: the commit goes on."""
    said = str(error).splitlines() or [type(error).__name__]
    return f"edge-ttp: no suggestion ({said[0]})"
