"""JSON on standard output, as every command prints it under --json. Imports little: see cli/express.py."""

from __future__ import annotations

import json
import math
import sys
from typing import Any


def emit_json(value: Any) -> None:
    """Prints one JSON value on stdout. Numbers that JSON does not have (nan, inf) become null.

    Characters that stdout's encoding lacks are escaped.
    """
    finite = _finite(value)
    text = json.dumps(finite, ensure_ascii=False, default=str)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(finite, default=str)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
