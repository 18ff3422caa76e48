"""The server as a service that starts when its user logs in: a systemd user unit, or a launchd agent of macOS."""

from __future__ import annotations

import os
import plistlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ttp.errors import InvalidInput
from edge_ttp.paths import HOME_VARIABLE

LABEL = "edge-ttp.serve"
UNIT = "edge-ttp.service"
_KEPT = (HOME_VARIABLE, "EDGE_TTP_USER", "EDGE_TTP_MODEL", "EDGE_TTP_MODE")
"""Variables that say which installation this is, and as whom it answers: the service sees no shell's."""


@dataclass(frozen=True)
class Service:
    """A file that makes a service of the server."""

    path: Path
    text: str
    start: str
    """The shell command that starts it now and at every login."""
    stop: str
    """The shell command that ends it and keeps it from starting."""

    def write(self) -> None:
        """Puts the file there, whole or not at all, in place of an older one. Raises InvalidInput."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial = self.path.with_name(f".{self.path.name}.partial")
            partial.write_text(self.text, encoding="utf-8")
            os.replace(partial, self.path)
        except OSError as error:
            reason = error.strerror or error
            raise InvalidInput(f"{str(self.path)!r} cannot be written ({reason})", "write it by hand") from error


def service_of(
    options: Sequence[str],
    *,
    platform: str = sys.platform,
    program: Sequence[str] = (sys.executable, "-m", "edge_ttp"),
    environment: Mapping[str, str] = os.environ,
    folder: Path | None = None,
) -> Service:
    """The service that runs `PROGRAM serve OPTIONS` for the user whose home is `folder` (None: this one's).

    Raises InvalidInput for a platform without either kind, and for options that hold line breaks.
    """
    command = [*program, "serve", *options]
    kept = {name: environment[name] for name in _KEPT if environment.get(name)}
    for one in (*command, *kept.values()):
        if not one.isprintable():
            raise InvalidInput(f"{one!a} cannot stand in a service's file", "use printable characters only")
    home = folder or Path.home()
    if platform == "darwin":
        path = home / "Library" / "LaunchAgents" / f"{LABEL}.plist"
        domain = "gui/$(id -u)"
        return Service(
            path,
            _agent(command, kept, home),
            f"launchctl bootstrap {domain} '{path}'",
            f"launchctl bootout {domain}/{LABEL}",
        )
    if platform.startswith("linux"):
        base = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
        return Service(
            base / "systemd" / "user" / UNIT,
            _unit(command, kept),
            f"systemctl --user daemon-reload && systemctl --user enable --now {UNIT}",
            f"systemctl --user disable --now {UNIT}",
        )
    raise InvalidInput(f"no kind of service is known for {platform}", "start `edge-ttp serve` at login by other means")


def _unit(command: Sequence[str], kept: Mapping[str, str]) -> str:
    lines = [
        "[Unit]",
        "Description=edge-ttp: answers the way you would, on this machine",
        "",
        "[Service]",
        f"ExecStart={' '.join(_quoted(one).replace('$', '$$') for one in command)}",
        *(f"Environment={_quoted(f'{name}={value}')}" for name, value in kept.items()),
        "Restart=on-failure",
        "UMask=0077",
        "NoNewPrivileges=yes",
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    return "\n".join(lines) + "\n"


def _quoted(word: str) -> str:
    """`word` as systemd reads it back: quotes and backslashes escaped, `%` doubled (systemd.service, systemd.unit)."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _agent(command: Sequence[str], kept: Mapping[str, str], home: Path) -> str:
    agent = {
        "Label": LABEL,
        "ProgramArguments": list(command),
        "EnvironmentVariables": dict(kept),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ProcessType": "Interactive",
        "Umask": 0o077,
        "StandardErrorPath": str(home / "Library" / "Logs" / f"{LABEL}.log"),
    }
    return plistlib.dumps(agent, sort_keys=False).decode()
