"""How responsive the window is while candidates are drawn: what holds up its event loop and page, how long Stop takes.

A lag is how much later than asked a timer of TICK_MS fires; it is taken in the window's own thread (Qt) and in the
page's (JavaScript), while a request draws. Stop is timed from the click to the page's word that it has stopped; that
the engine stops within a decode step of the connection's end is a test of the server.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, Qt, QTimer

from edge_ttp.app.desktop import Desktop, application_of
from edge_ttp.app.model_process import ModelProcess
from edge_ttp.app.single import AppWish
from edge_ttp.errors import EdgeTTPError, ModelUnavailable
from edge_ttp.paths import Paths

TICK_MS = 5
_LONGEST_S = 300.0
_DRAWING_MS = 1500
_PAGE_TICKS = f"""
window.pageLags = [];
window.pageTick = performance.now();
window.pageTimer = setInterval(() => {{
  const now = performance.now();
  window.pageLags.push(now - window.pageTick - {TICK_MS});
  window.pageTick = now;
}}, {TICK_MS});
"""
_ASK = """
document.getElementById("prompt").value = "The printer on the first floor was repaired and works again.";
document.getElementById("count").value = "200";
localStorage.setItem("edge-ttp-started", "yes");
document.getElementById("go").click();
"""
_STOP = """
window.stopMs = null;
(() => {
  const began = performance.now(), status = document.getElementById("status");
  new MutationObserver((_, watcher) => {
    if (status.textContent !== word("stopped")) return;
    window.stopMs ??= performance.now() - began;
    watcher.disconnect();
  }).observe(status, { childList: true, characterData: true, subtree: true });
  document.getElementById("stop").click();
})();
"""


@dataclass(frozen=True)
class Responsiveness:
    """What was measured, in milliseconds."""

    window_lags: tuple[float, ...]
    page_lags: tuple[float, ...]
    stops: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the middle, the 99th percentile and the largest."""
        kinds = {"window_lag_ms": self.window_lags, "page_lag_ms": self.page_lags, "stop_ms": self.stops}
        return {
            name: {
                "p50": round(float(np.percentile(values, 50)), 2),
                "p99": round(float(np.percentile(values, 99)), 2),
                "max": round(max(values), 2),
                "count": len(values),
            }
            for name, values in kinds.items()
        }


class _Driver:
    """A desktop that is driven from outside its event loop."""

    def __init__(self, paths: Paths) -> None:
        self._application = application_of()
        self.desktop = Desktop(paths, self._application, ModelProcess())
        self._page = self.desktop.main.view.page()

    def pause(self, milliseconds: int) -> None:
        """Lets the event loop run so long."""
        loop = QEventLoop()
        QTimer.singleShot(milliseconds, loop.quit)
        loop.exec()

    def value(self, script: str) -> Any:
        """The value of a script of the page."""
        loop, got = QEventLoop(), list[Any]()

        def take(value: Any) -> None:
            got.append(value)
            loop.quit()

        self._page.runJavaScript(script, take)
        QTimer.singleShot(10_000, loop.quit)
        if not got:
            loop.exec()
        return got[0] if got else None

    def until(self, true: Callable[[], Any]) -> Any:
        """What `true` gives as soon as it gives something. Raises EdgeTTPError where it does not come."""
        end = time.monotonic() + _LONGEST_S
        while not (found := true()):
            if time.monotonic() > end:
                raise EdgeTTPError("the window did not answer in time", "try again on a quieter machine")
            self.pause(50)
        return found

    def close(self) -> None:
        """Ends the model process and the windows."""
        self.desktop.process.close()
        for window in (self.desktop.main, self.desktop.compose):
            window.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def measure(paths: Paths, *, rounds: int, advance: Callable[[float], None]) -> Responsiveness:
    """Opens the window over the home of `paths`, draws and stops `rounds` times. `advance` gets the rounds done.

    Stores nothing of the answers. Raises ModelUnavailable without a policy on this device.
    """
    driver = _Driver(paths)
    window_lags: list[float] = []
    page_lags: list[float] = []
    stops: list[float] = []
    last = [time.perf_counter()]

    def tick() -> None:
        now = time.perf_counter()
        window_lags.append((now - last[0]) * 1000 - TICK_MS)
        last[0] = now

    ticking = QTimer()
    ticking.setTimerType(Qt.TimerType.PreciseTimer)
    ticking.timeout.connect(tick)
    try:
        driver.desktop.process.start()
        driver.desktop.fulfil(AppWish())
        driver.until(lambda: driver.value('document.getElementById("version")?.textContent'))
        ready = driver.until(lambda: driver.value('startState && (startState.ready ? "yes" : "no")'))
        if ready == "no":
            raise ModelUnavailable("there is no policy on this device", "run `edge-ttp models pull`")
        driver.value('localStorage.setItem("edge-ttp-forgetful:" + person, "yes"); 0')
        for turn in range(rounds):
            driver.value(_ASK + "0")
            driver.until(lambda: driver.value('document.querySelectorAll(".card p:not(:empty)").length'))
            driver.value(_PAGE_TICKS + "0")
            last[0] = time.perf_counter()
            ticking.start(TICK_MS)
            driver.pause(_DRAWING_MS)
            ticking.stop()
            page_lags += json.loads(driver.value("clearInterval(pageTimer); JSON.stringify(pageLags)"))
            driver.value(_STOP + "0")
            stops.append(float(driver.until(lambda: driver.value("stopMs"))))
            advance(turn + 1)
        driver.value('localStorage.removeItem("edge-ttp-forgetful:" + person); 0')
    finally:
        driver.close()
    return Responsiveness(tuple(window_lags), tuple(page_lags), tuple(stops))
