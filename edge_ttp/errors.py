"""The errors a caller can meet. Each message is one line: the fact, then the cure.

Exit codes are part of the command line's contract (docs/errors.md); `code` is the word used under `--json`.
"""

from __future__ import annotations

import errno

_LONGEST = 600
"""Characters of a fact."""


class EdgeTTPError(Exception):
    """An error with a cure. `str(error)` is the one line a person reads."""

    code = "error"
    exit_code = 1

    def __init__(self, fact: str, cure: str = "") -> None:
        self.fact = _shortened(" ".join(fact.split()))
        self.cure = " ".join(cure.split())
        super().__init__(f"{self.fact}; {self.cure}" if self.cure else self.fact)

    def as_dict(self) -> dict[str, object]:
        """The object printed under `--json`: code, message, cure, exit_code."""
        return {"code": self.code, "message": self.fact, "cure": self.cure, "exit_code": self.exit_code}


def shown(value: object, most: int = 80) -> str:
    """`value` as an error quotes it: its repr, cut to `most` characters."""
    try:
        text = repr(value)
    except ValueError:  # Python writes out no number of thousands of digits
        return f"a number of too many digits ({type(value).__name__})"
    except RecursionError:
        return f"something nested too deeply ({type(value).__name__})"
    return text if len(text) <= most else f"{text[:most]}..."


def is_full(error: BaseException) -> bool:
    """Whether the system reports a disk (or a person's share of one) without room."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_cure(error: OSError) -> str:
    """What to do about a file that could not be written: room where the disk is full, rights otherwise."""
    return "free some space and try again" if is_full(error) else "make its folder writable for you"


def _shortened(fact: str) -> str:
    """`fact` with its middle left out where it is no line any more: it may quote what somebody gave."""
    return fact if len(fact) <= _LONGEST else f"{fact[: _LONGEST * 2 // 3]} ... {fact[-_LONGEST // 3 :]}"


class InvalidInput(EdgeTTPError, ValueError):
    """A request that cannot be meant: an empty prompt, n=0, a negative deadline, a malformed file."""

    code, exit_code = "invalid_input", 2


def unusable(error: OSError) -> InvalidInput:
    """A file or folder that the system does not give, and that nobody nearer to it had a better word for."""
    why = error.strerror or type(error).__name__
    cure = "free some space and try again" if is_full(error) else "check that it is there, and its rights"
    return InvalidInput(f"{str(error.filename)[:300]} cannot be used ({why})", cure)


class ModelUnavailable(EdgeTTPError):
    """A model file that is missing, truncated, altered, of the wrong kind or not loadable."""

    code, exit_code = "model_unavailable", 3


class HistoryUnavailable(EdgeTTPError):
    """A history database that is locked, read-only, corrupt, too new, or on a full disk."""

    code, exit_code = "history_unavailable", 4


class OutOfCapacity(EdgeTTPError):
    """A prompt longer than the context, or a model larger than the memory."""

    code, exit_code = "out_of_capacity", 5


class DeadlineTooShort(EdgeTTPError):
    """The deadline passed before one token could be drawn."""

    code, exit_code = "deadline_too_short", 6


class DownloadFailed(EdgeTTPError):
    """`models pull` could not fetch a file from any of its sources."""

    code, exit_code = "download_failed", 7


class NotFound(EdgeTTPError):
    """An id or a name that does not exist: a generation, a history item, a model."""

    code, exit_code = "not_found", 8


class ExtraMissing(EdgeTTPError):
    """A command whose optional dependencies are not installed."""

    code, exit_code = "extra_missing", 9


def checked_type(name: str, value: object, *kinds: type, optional: bool = True) -> None:
    """Raises InvalidInput unless `value` is of one of the kinds, or None where it is optional. A bool is no number."""
    if value is None and optional:
        return
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise InvalidInput(f"{name} is {type(value).__name__}, not {wanted}", f"give {name} as {wanted}")


class Cancelled(EdgeTTPError):
    """The caller cancelled before there was anything to return."""

    code, exit_code = "cancelled", 130


def is_interrupt(error: BaseException) -> bool:
    """Whether `error` comes from Ctrl-C: a KeyboardInterrupt, or what somebody else's code made of one.

    An interrupt while a module loads may surface as another exception with the interrupt as its cause: Python 3.11
    itself raises RuntimeError for any error while a class names its attributes.
    """
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        if isinstance(link, KeyboardInterrupt):
            return True
        seen.add(id(link))
        link = link.__cause__ or link.__context__
    return False
