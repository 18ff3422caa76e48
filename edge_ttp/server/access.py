"""Who may ask, and as which user: bearer tokens, each with a user of its own and that user's sub-users.

The installation's own token lies in the configuration, mode 0600, so that only its owner's programs find it. Further
tokens are kept as hashes: they are shown once, when they are made.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from dataclasses import dataclass
from hashlib import sha256

from edge_ttp.errors import HistoryUnavailable, InvalidInput, NotFound, write_cure
from edge_ttp.history.user import default_user, valid_user
from edge_ttp.paths import Paths
from edge_ttp.system.private_file import write_private

OWN_FILE = "token"
NAMED_FILE = "tokens.json"
SEPARATOR = "/"
"""Between a token's user and a sub-user."""

_MAX_NAMED = 1000
_PREFIX = "ettp-"


@dataclass(frozen=True)
class Bearer:
    """Whoever showed a known token."""

    name: str
    """The token's name; `own` for the installation's."""
    user: str
    """Whose history it opens."""
    exact: bool = False
    """Whether any user of the installation may be named: the owner's own programs."""

    def user_for(self, sub_user: str | None) -> str:
        """The user id that a request means: the token's own, or one of its sub-users. Raises InvalidInput."""
        if not sub_user:
            return self.user
        if self.exact:
            return valid_user(sub_user)
        return valid_user(f"{self.user}{SEPARATOR}{valid_user(sub_user)}")

    def owns(self, user: str) -> bool:
        """Whether `user`, as the history names it, is this token's user or one of its sub-users."""
        return self.exact or user == self.user or user.startswith(self.user + SEPARATOR)


@dataclass(frozen=True)
class NamedToken:
    """A further token as it is kept."""

    name: str
    user: str
    digest: str
    """SHA-256 of the token, hexadecimal."""


class Access:
    """The tokens of one installation. Read anew for each question, so that a revoked one is refused at once."""

    def __init__(self, paths: Paths) -> None:
        self._folder = paths.config

    def own(self) -> str:
        """The installation's own token, made when it is first asked for. Raises HistoryUnavailable if it cannot be."""
        path = self._folder / OWN_FILE
        try:
            kept = path.read_text(encoding="ascii").strip() if path.is_file() else ""
            if kept:
                if os.name == "posix" and path.stat().st_mode & 0o077:  # put back by a backup, say
                    path.chmod(0o600)
                return kept
        except (OSError, UnicodeDecodeError) as error:
            raise HistoryUnavailable(f"{path} cannot be used ({error})", "remove it: another is made") from error
        made = _PREFIX + secrets.token_urlsafe(32)
        try:
            write_private(path, made + "\n")
        except OSError as error:
            raise _not_kept("token", error) from error
        return made

    def add(self, name: str, user: str | None = None) -> str:
        """Makes a token called `name` for `user` (None: a user of that name) and returns it; only its hash is kept.

        Raises InvalidInput for a name that is taken, or a user that another token's user includes.
        """
        named = self.named()
        user = valid_user(name if user is None else user)
        if not name.strip() or name == "own" or any(one.name == name for one in named):
            raise InvalidInput(f"a token called {name!r} is there already", "choose another name, or revoke that one")
        if len(named) >= _MAX_NAMED:
            raise InvalidInput(f"there are {len(named)} tokens already", "revoke some")
        for other in (default_user(), *(one.user for one in named)):
            mine, theirs = Bearer("", user), Bearer("", other)
            if user != other and (mine.owns(other) or theirs.owns(user)):
                raise InvalidInput(f"the user {user!r} and {other!r} would see each other", "name another user")
        made = _PREFIX + secrets.token_urlsafe(32)
        self._keep([*named, NamedToken(name, user, _digest(made))])
        return made

    def revoke(self, name: str) -> None:
        """Refuses the token called `name` from now on. Raises NotFound."""
        named = self.named()
        rest = [one for one in named if one.name != name]
        if len(rest) == len(named):
            raise NotFound(f"no token is called {name!r}", "see `edge-ttp tokens list`")
        self._keep(rest)

    def named(self) -> list[NamedToken]:
        """The further tokens. Raises HistoryUnavailable where their file is damaged."""
        path = self._folder / NAMED_FILE
        try:
            if not path.is_file():
                return []
            entries = json.loads(path.read_text(encoding="utf-8"))
            return [NamedToken(str(one["name"]), valid_user(one["user"]), str(one["sha256"])) for one in entries]
        except (OSError, ValueError, TypeError, KeyError, RecursionError, InvalidInput) as error:
            raise HistoryUnavailable(f"{path} is damaged", "remove it and make the tokens anew") from error

    def bearer(self, token: str | None) -> Bearer | None:
        """Whose token it is, None for nobody's. Compared in constant time, hash against hash."""
        if not token:
            return None
        shown = _digest(token)
        known: Bearer | None = None
        if hmac.compare_digest(shown, _digest(self.own())):
            known = Bearer("own", default_user())
        for one in self.named():
            if hmac.compare_digest(shown, one.digest):
                known = Bearer(one.name, one.user)
        return known

    def _keep(self, named: list[NamedToken]) -> None:
        entries = [{"name": one.name, "user": one.user, "sha256": one.digest} for one in named]
        try:
            write_private(self._folder / NAMED_FILE, json.dumps(entries, indent=1) + "\n")
        except OSError as error:
            raise _not_kept("tokens", error) from error


def _not_kept(what: str, error: OSError) -> HistoryUnavailable:
    return HistoryUnavailable(f"the {what} cannot be kept ({error.strerror or error})", write_cure(error))


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
