"""Sizes of the frozen app and how long it takes to start: python packaging/sizes.py dist. Prints one line a number.

Times are those of this machine as busy as it is now, files in the page cache (a first start after boot reads them from
the disk first). The window's needs Xvfb and xdotool.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

LONGEST_S = 120.0
PROMPT = "The lift was repaired. Can you tell the others?"


def folder_size(folder: Path) -> int:
    """Bytes of the files in a folder, links not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def timed(act: Callable[[], object]) -> float:
    """Seconds that `act` took."""
    began = time.monotonic()
    act()
    return time.monotonic() - began


def wait_for(true: Callable[[], object]) -> None:
    """Returns as soon as it is true. Raises TimeoutError."""
    end = time.monotonic() + LONGEST_S
    while not true():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.01)


@contextmanager
def screen() -> Iterator[str]:
    """A display of its own."""
    shown, number = os.pipe()
    command = ["Xvfb", "-displayfd", str(number), "-screen", "0", "1100x860x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=(number,), stderr=subprocess.DEVNULL)
    os.close(number)
    try:
        with os.fdopen(shown) as line:
            yield f":{line.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


def window_times(program: Path, home: Path) -> tuple[float, float, float]:
    """Seconds from the program's start to the window, to a server that answers in it, and to its first answer."""
    with screen() as display:
        environment = {"DISPLAY": display, "EDGE_TTP_HOME": str(home), "HOME": str(home), "LANG": "C.UTF-8"}
        began = time.monotonic()
        process = subprocess.Popen([program, "app"], env=environment, stderr=subprocess.DEVNULL)
        try:
            search = ["xdotool", "search", "--onlyvisible", "--name", "^edge-ttp$"]
            find = {"env": {**os.environ, "DISPLAY": display}, "capture_output": True}
            wait_for(lambda: subprocess.run(search, check=False, **find).returncode == 0)  # type: ignore[call-overload]
            window = time.monotonic() - began
            record = home / "run" / "server.json"
            wait_for(record.exists)
            serving = time.monotonic() - began
            answered(json.loads(record.read_text()))
            return window, serving, time.monotonic() - began
        finally:
            process.terminate()
            process.wait(60)


def answered(server: dict[str, str]) -> None:
    """Asks the window's server, as its page does, and returns with the whole answer."""
    request = urllib.request.Request(  # noqa: S310  # our own server's address
        f"{server['url']}/ttp/v1/generate",
        json.dumps({"prompt": PROMPT, "store": False}).encode(),
        {"authorization": f"Bearer {server['token']}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=LONGEST_S) as answer:  # noqa: S310
        assert json.load(answer)["text"]


def main(dist: Path) -> None:
    """Prints what there is below `dist`."""
    bundle = dist / "edge-ttp"
    program = bundle / "edge-ttp"
    print(f"folder: {folder_size(bundle) / 1e6:.0f} MB")
    for package in sorted(dist.glob("*.deb")):
        print(f"{package.name}: {package.stat().st_size / 1e6:.0f} MB")
    with TemporaryDirectory() as folder:
        home = Path(folder)
        environment = {"EDGE_TTP_HOME": str(home), "HOME": str(home)}

        def run(*arguments: str) -> None:
            subprocess.run([program, *arguments], env=environment, check=True, capture_output=True, timeout=LONGEST_S)

        print(f"edge-ttp --help: {timed(lambda: run('--help')):.2f} s")
        print(f"the model that came along, into the store: {timed(lambda: run('models', 'pull')):.1f} s")
        if shutil.which("Xvfb") and shutil.which("xdotool"):
            for words in ("of a new installation, its device not measured yet", "of the next start"):
                window, serving, answer = window_times(program, home)
                print(f"window {words}: shown {window:.1f} s, its server answers {serving:.1f} s")
                print(f"    first answer {answer:.1f} s, all from the program's start")
        ask = ("generate", PROMPT, "--no-store")
        print(f"an answer at the command line, from the program's start: {timed(lambda: run(*ask)):.1f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
