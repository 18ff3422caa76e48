"""The application: two windows, a tray icon, the model process, and what later starts of the app ask for."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.resources import files

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QSettings, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QIcon, QPixmap
from PySide6.QtWidgets import QApplication, QMenu, QSystemTrayIcon

from edge_ttp.app.history_turn import HistoryTurn, turned
from edge_ttp.app.model_process import ModelProcess, ProcessEnd, ServerAddress
from edge_ttp.app.single import AppWish, Only
from edge_ttp.app.web_view import OwnProfile
from edge_ttp.app.window import ComposeWindow, PageWindow
from edge_ttp.app.window_words import words
from edge_ttp.paths import Paths, private_folder

_REMEMBERED = "window.ini"
_BACK_S = 8
"""How long it is said that the model process is back."""


class Desktop(QObject):
    """The running application. Everything of Qt happens in its one thread; news come to it as signals."""

    _is_up = Signal(object)
    _has_ended = Signal(object)
    _is_wanted = Signal(object)

    _has_turned = Signal(object)

    def __init__(self, paths: Paths, application: QApplication, process: ModelProcess) -> None:
        """`process` may have been started; it is the caller's to close as well."""
        super().__init__()
        self._application = application
        self._remembered = QSettings(str(private_folder(paths.config) / _REMEMBERED), QSettings.Format.IniFormat)
        self._profile = OwnProfile(self._remembered)
        self.main = PageWindow("main", "", self._profile, self._remembered)
        self.compose = ComposeWindow(self._profile, self._remembered)
        self._windows = (self.main, self.compose)
        self._serving: ServerAddress | None = None
        self._why = ""
        self._copied = ""
        self._turning: threading.Thread | None = None
        self.process = process
        self._is_up.connect(self._served)
        self._has_ended.connect(self._lost)
        self._has_turned.connect(self._turned)
        self.main.view.history_wish.connect(self._turn)
        self._is_wanted.connect(self.fulfil)
        for window in self._windows:
            window.again.clicked.connect(self.process.start)
            window.say(words("starting"))
        self.compose.view.copied.connect(self._has_copied)
        application.clipboard().dataChanged.connect(self._clipboard_changed)
        application.setQuitOnLastWindowClosed(False)
        application.lastWindowClosed.connect(self._perhaps_end)
        self.tray = self._tray()
        process.attend(up=self._is_up.emit, ended=self._has_ended.emit)

    def run(self, wish: AppWish, only: Only | None = None) -> int:
        """Fulfils the first wish and runs until the application ends; its exit code."""
        if only is not None:
            only.listen(self._is_wanted.emit)
        self.process.start()
        self.fulfil(wish)
        ticking = QTimer(self)  # Python sees signals only between two of its own steps
        ticking.timeout.connect(lambda: None)
        ticking.start(200)
        signal.signal(signal.SIGINT, lambda *_: self._application.quit())
        signal.signal(signal.SIGTERM, lambda *_: self._application.quit())
        try:
            return int(self._application.exec())
        finally:
            if only is not None:
                only.stop_listening()
            for window in self._windows:
                window.keep_place()
                window.hide()
            if self._turning is not None:
                self._turning.join()  # a history is never left half-way
            self.process.close()
            for window in self._windows:  # pages go before the profile that they stand on
                window.deleteLater()
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)

    def fulfil(self, wish: AppWish) -> None:
        """Shows what is wanted: the main window, or the compose window with a text."""
        if wish.show:
            self.main.bring_up()
            return
        text = wish.text or (self._application.clipboard().text() if wish.clipboard else "")
        self.compose.begin(text)

    # The model process

    def _served(self, serving: ServerAddress) -> None:
        self._serving = serving
        for window in self._windows:
            window.view.open_at(serving.url, serving.token)
            window.say(words("back", words=self._why) if self._why else "")
        if self._why:
            self._why = ""
            said = [window.news for window in self._windows]
            QTimer.singleShot(_BACK_S * 1000, self, lambda: self._unsay(said))

    def _lost(self, news: ProcessEnd) -> None:
        self._why = news.words
        print(f"edge-ttp: the model process {news.words}", file=sys.stderr)
        for window in self._windows:
            window.say(words("ended" if news.again else "given_up", words=news.words), offer=not news.again)

    def _unsay(self, said: list[str]) -> None:
        for window, text in zip(self._windows, said, strict=True):
            if window.news == text:
                window.say("")

    # Encryption, which needs the history for itself

    def _turn(self, wish: str) -> None:
        """Ends the model process, has the history turned, and starts the process again; the page is told."""
        if self._turning is not None and self._turning.is_alive():
            return
        pausing = wish != "recovery-key"
        if pausing:
            for window in self._windows:
                window.say(words("turning"))

        def turn() -> None:
            if pausing:
                self.process.close()
            done = turned(wish)
            if pausing:
                self.process.start()
            self._has_turned.emit(done)

        self._turning = threading.Thread(target=turn, name="edge-ttp-encryption")
        self._turning.start()

    def _turned(self, done: HistoryTurn) -> None:
        for window in self._windows:
            if window.news == words("turning"):
                window.say(words("starting"))
        self.main.view.call("historyTurned", asdict(done))

    # The end

    def _has_copied(self, text: str) -> None:
        self._copied = text
        self.compose.close()

    def _clipboard_changed(self) -> None:
        if self._copied and self._application.clipboard().text() != self._copied:
            self._copied = ""
            self._perhaps_end()

    def _perhaps_end(self) -> None:
        """Ends with the last window where there is no tray; a copied text lives in this process until another is."""
        if any(window.isVisible() for window in self._windows) or self._copied:
            return
        if self.tray is not None:
            if self._remembered.value("told_of_tray") is None:
                self.tray.showMessage("edge-ttp", words("still_here"), icon())
                self._remembered.setValue("told_of_tray", "yes")
            return
        self._application.quit()

    # The tray

    def _tray(self) -> QSystemTrayIcon | None:
        if not QSystemTrayIcon.isSystemTrayAvailable():
            return None
        menu = QMenu()
        for name, act in (
            ("open", lambda: self.fulfil(AppWish())),
            ("compose", lambda: self.fulfil(AppWish(show=False, clipboard=True))),
            ("quit", self._application.quit),
        ):
            menu.addAction(_action(words(name), menu, act))
        tray = QSystemTrayIcon(icon(), self)
        tray.setToolTip("edge-ttp")
        tray.setContextMenu(menu)
        tray.activated.connect(self._tray_clicked)
        tray.show()
        self._menu = menu
        return tray

    def _tray_clicked(self, how: QSystemTrayIcon.ActivationReason) -> None:
        if how == QSystemTrayIcon.ActivationReason.Trigger:
            self.fulfil(AppWish())


def _action(text: str, menu: QMenu, act: Callable[[], object]) -> QAction:
    made = QAction(text, menu)
    made.triggered.connect(lambda _checked: act())
    return made


def icon() -> QIcon:
    """The app's icon."""
    picture = QPixmap()
    picture.loadFromData(files("edge_ttp.app").joinpath("icon.png").read_bytes())
    return QIcon(picture)


def application_of(arguments: Sequence[str] = ()) -> QApplication:
    """Qt's application object, with a browser engine that may run as root (containers) and without a GPU."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        os.environ.setdefault("QTWEBENGINE_DISABLE_SANDBOX", "1")  # Chromium's sandbox refuses root
    flags = os.environ.get("QTWEBENGINE_CHROMIUM_FLAGS", "")
    quiet = "--disable-background-networking --disable-component-update --no-pings --disable-logging"
    os.environ["QTWEBENGINE_CHROMIUM_FLAGS"] = f"{flags} {quiet}".strip()
    os.environ.setdefault("QSG_RHI_DISABLE_DISK_CACHE", "1")  # nothing is written outside our own folders
    QCoreApplication.setAttribute(Qt.ApplicationAttribute.AA_DisableShaderDiskCache)
    os.environ.setdefault("QT_LOGGING_RULES", "*.debug=false;qt.webenginecontext.info=false;qt.rhi.*=false")
    application = QApplication([sys.argv[0], *arguments])
    application.setApplicationName("edge-ttp")
    application.setDesktopFileName("edge-ttp")
    application.setWindowIcon(icon())
    return application


def run_desktop(paths: Paths, wish: AppWish, only: Only | None, process: ModelProcess) -> int:
    """Opens the window and runs until it ends; its exit code."""
    return Desktop(paths, application_of(), process).run(wish, only)
