"""A Debian package of the frozen app: python packaging/debian.py dist/edge-ttp OUT. Needs dpkg-deb."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from edge_ttp import __version__

ROOT = Path(__file__).parents[1]
# What Qt opens by name, and what PyInstaller leaves to the system; the rest is in the bundle.
DEPENDS = (
    "libc6 (>= 2.36), zlib1g, libgl1, libegl1, libdrm2, libxcb1, libxcb-dri3-0, libwayland-server0, "
    "fonts-dejavu-core | fonts-freefont-ttf"
)
RECOMMENDS = "libwayland-client0, libwayland-cursor0, libwayland-egl1, xdg-desktop-portal"

CONTROL = """Package: edge-ttp
Version: {version}
Architecture: {architecture}
Maintainer: edge-ttp developers <edge-ttp@localhost>
Installed-Size: {kib}
Depends: {depends}
Recommends: {recommends}
Section: editors
Priority: optional
Description: writes the way you do, on this machine alone
 A local model drafts answers in your own voice from what you wrote before.
 Nothing leaves the machine. `edge-ttp` opens the window; `edge-ttp --help`
 names the commands.
"""

DESKTOP = """[Desktop Entry]
Type=Application
Name=edge-ttp
Comment=Write the way you do, on this machine alone
Exec=/opt/edge-ttp/edge-ttp app
Icon=edge-ttp
Categories=Office;Utility;
StartupWMClass=edge-ttp
Actions=compose;

[Desktop Action compose]
Name=Write like me, from the clipboard
Exec=/opt/edge-ttp/edge-ttp compose --clipboard
"""


def build(bundle: Path, out: Path) -> Path:
    """The package made of the folder `bundle`, in the folder `out`."""
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    with TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        shutil.copytree(bundle, root / "opt" / "edge-ttp", symlinks=True)
        (root / "usr/bin").mkdir(parents=True)
        (root / "usr/bin/edge-ttp").symlink_to("/opt/edge-ttp/edge-ttp")
        _write(root / "usr/share/applications/edge-ttp.desktop", DESKTOP)
        icons = root / "usr/share/icons/hicolor/256x256/apps"
        icons.mkdir(parents=True)
        shutil.copyfile(ROOT / "edge_ttp/app/icon.png", icons / "edge-ttp.png")
        _write(root / "usr/share/doc/edge-ttp/copyright", (ROOT / "LICENSE").read_text(encoding="utf-8"))
        kib = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file()) // 1024
        told = CONTROL.format(
            version=__version__, architecture=architecture, kib=kib, depends=DEPENDS, recommends=RECOMMENDS
        )
        _write(root / "DEBIAN/control", told)
        for path in (root, *root.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        out.mkdir(parents=True, exist_ok=True)
        package = out / f"edge-ttp_{__version__}_{architecture}.deb"
        # xz at its usual level takes half an hour and saves a twentieth; all cores take part.
        pack = ["dpkg-deb", "--root-owner-group", "-Zxz", "-z2", f"--threads-max={os.cpu_count() or 1}"]
        subprocess.run([*pack, "--build", str(root), str(package)], check=True)
    return package


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    print(build(Path(sys.argv[1]), Path(sys.argv[2])))
