"""Who a history belongs to: opaque names chosen by the host app, and the one a command uses when none is given."""

from __future__ import annotations

import os
import unicodedata

from edge_ttp.errors import InvalidInput
from edge_ttp.paths import Paths, locate
from edge_ttp.system.settings import FALLBACK_USER, read_settings

USER_VARIABLE = "EDGE_TTP_USER"
MAX_USER = 256
"""Longest user id, in characters."""


def valid_user(user: str) -> str:
    """`user` itself. InvalidInput if it is blank, too long, or holds control characters or lone surrogates."""
    if not isinstance(user, str) or not user.strip():
        raise InvalidInput("the user id is empty", f"give one with --user, or set {USER_VARIABLE}")
    if len(user) > MAX_USER:
        raise InvalidInput(f"the user id has {len(user)} characters", f"use at most {MAX_USER}")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in user):
        raise InvalidInput(f"the user id {user!a} holds control characters", "use printable characters only")
    return user


def default_user(paths: Paths | None = None) -> str:
    """The user that is meant where none is named: EDGE_TTP_USER if that is set and not empty, else as configured below
    `paths` (None: this installation's), else `me`."""
    return valid_user(os.environ.get(USER_VARIABLE) or read_settings(paths or locate()).user or FALLBACK_USER)
