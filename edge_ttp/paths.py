"""Where files live: platformdirs under `edge-ttp`, or one folder named by EDGE_TTP_HOME."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge_ttp.errors import InvalidInput

HOME_VARIABLE = "EDGE_TTP_HOME"

_OWN_FOLDERS = frozenset({"data", "config", "cache", "run"})


@dataclass(frozen=True)
class Paths:
    """The folders of one installation. Nothing is written outside them."""

    data: Path
    config: Path
    cache: Path
    run: Path
    """What lives while a server runs: its address, its token and its socket."""

    @property
    def database(self) -> Path:
        """The history of all users of this installation."""
        return self.data / "history.db"

    @property
    def states(self) -> Path:
        """What policies have read of this history's users, in a folder for each."""
        return self.data / "states"

    @property
    def server_socket(self) -> Path:
        """Where the owner's programs reach a running server of this home."""
        return self.run / "server.sock"

    @property
    def measured_costs(self) -> Path:
        """What models cost on this device, as it was measured."""
        return self.cache / "device.json"

    @property
    def models(self) -> Path:
        """Downloaded and added model files with their manifests."""
        return self.data / "models"


def expanded(path: Path | str) -> Path:
    """`path` with a leading `~` or `~NAME` as that home; as it is where there is none, and nothing will be found."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def locate(home: Path | str | None = None) -> Paths:
    """The folders to use: below `home`, else below EDGE_TTP_HOME, else the platform's own. Creates nothing.

    Raises InvalidInput where no place is meant: the home of nobody known, or a name within a folder that is gone.
    """
    root = home or os.environ.get(HOME_VARIABLE)
    if root:
        try:
            base = Path(root).expanduser().absolute()
        except (RuntimeError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else "there is no such home"
            raise InvalidInput(f"{str(root)!r} is no place for files ({why})", "name a folder from / on") from error
        return Paths(data=base / "data", config=base / "config", cache=base / "cache", run=base / "run")
    from platformdirs import PlatformDirs

    dirs = PlatformDirs("edge-ttp", appauthor=False)
    try:
        known = Path(dirs.user_data_dir).is_absolute()
    except RuntimeError:  # which newer versions of platformdirs raise
        known = False
    if not known:  # with `~` as it is, the history would lie wherever one stands
        raise InvalidInput("there is no home folder to keep files in", f"set HOME, or {HOME_VARIABLE}")
    return Paths(
        data=Path(dirs.user_data_dir),
        config=Path(dirs.user_config_dir),
        cache=Path(dirs.user_cache_dir),
        run=Path(dirs.user_runtime_dir) if "XDG_RUNTIME_DIR" in os.environ else Path(dirs.user_cache_dir) / "run",
    )


def private_folder(path: Path) -> Path:
    """`path`, created with mode 0700 if it was missing, and so every missing folder above it.

    A folder of the installation that was there with more rights is tightened, and so is its home where nothing but
    the installation lies in it. Other people's folders stay as they are.
    """
    missing = path
    absent = []
    while not missing.exists() and missing != missing.parent:
        absent.append(missing)
        missing = missing.parent
    for folder in reversed(absent):
        folder.mkdir(exist_ok=True, mode=0o700)
    path.mkdir(exist_ok=True, mode=0o700)  # says what is wrong where a file has the name
    if os.name == "posix":
        ours = locate()
        for folder in (ours.data, ours.config, ours.cache, ours.run):
            if path.absolute().is_relative_to(folder):
                _tighten(path)
                _tighten(folder)
                with suppress(OSError):
                    if set(os.listdir(folder.parent)) <= _OWN_FOLDERS:
                        _tighten(folder.parent)
    return path


def _tighten(folder: Path) -> None:
    """Takes the rights of group and others away where the folder is this user's own."""
    with suppress(OSError):
        status = folder.stat()
        if status.st_mode & 0o077 and status.st_uid == os.geteuid():
            folder.chmod(0o700)
