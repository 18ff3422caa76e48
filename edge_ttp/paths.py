"""Where files live: platformdirs under `edge-ttp`, or one folder named by EDGE_TTP_HOME."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

HOME_VARIABLE = "EDGE_TTP_HOME"


@dataclass(frozen=True)
class Paths:
    """The folders of one installation. Nothing is written outside them."""

    data: Path
    config: Path
    cache: Path

    @property
    def database(self) -> Path:
        """The history of all users of this installation."""
        return self.data / "history.db"

    @property
    def models(self) -> Path:
        """Downloaded and added model files with their manifests."""
        return self.data / "models"


def locate(home: Path | str | None = None) -> Paths:
    """The folders to use: below `home`, else below EDGE_TTP_HOME, else the platform's own. Creates nothing."""
    root = home or os.environ.get(HOME_VARIABLE)
    if root:
        base = Path(root).expanduser().absolute()
        return Paths(data=base / "data", config=base / "config", cache=base / "cache")
    from platformdirs import PlatformDirs

    dirs = PlatformDirs("edge-ttp", appauthor=False)
    return Paths(data=Path(dirs.user_data_dir), config=Path(dirs.user_config_dir), cache=Path(dirs.user_cache_dir))


def private_folder(path: Path) -> Path:
    """`path`, created with mode 0700 if it was missing."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path
