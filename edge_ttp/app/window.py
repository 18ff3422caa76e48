"""The main window and the compose window: the page, a line that says what happened to the model process, and a size
that is remembered."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings, Qt
from PySide6.QtGui import QCloseEvent, QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from edge_ttp.app.web_view import OwnProfile, PageView, make_private
from edge_ttp.app.window_words import words

_USUAL = {"main": (1000, 780), "compose": (620, 720)}


class PageWindow(QWidget):
    """A page with a line above it for news of the model process."""

    def __init__(self, name: str, page: str, profile: OwnProfile, remembered: QSettings) -> None:
        super().__init__()
        self._name, self._remembered = name, remembered
        self.view = PageView(profile, page, self)
        self._news = QLabel()
        self._news.setWordWrap(True)
        self._news.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.again = QPushButton(words("start_again"))
        self._away = QPushButton("✕")
        self._away.setAccessibleName(words("dismiss"))
        self._away.setFlat(True)
        self._away.clicked.connect(lambda: self.say(""))
        self._line = QWidget()
        self._line.setObjectName("news")
        self._line.setStyleSheet("#news { background: palette(tool-tip-base); }")
        row = QHBoxLayout(self._line)
        row.setContentsMargins(12, 6, 6, 6)
        row.addWidget(self._news, 1)
        row.addWidget(self.again)
        row.addWidget(self._away)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._line)
        column.addWidget(self.view, 1)
        self.say("")
        self.setWindowTitle("edge-ttp")
        self._place()
        QShortcut(QKeySequence.StandardKey.ZoomIn, self, lambda: self._zoom(1.1))
        QShortcut(QKeySequence.StandardKey.ZoomOut, self, lambda: self._zoom(1 / 1.1))

    def say(self, text: str, *, offer: bool = False) -> None:
        """Shows one line above the page (none for no text); `offer`: with a button that starts the process again."""
        self._news.setText(text)
        self.again.setVisible(offer)
        self._line.setVisible(bool(text))

    @property
    def news(self) -> str:
        """The line as it stands."""
        return str(self._news.text())

    def bring_up(self) -> None:
        """Shows the window in front of the others."""
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()

    def keep_place(self) -> None:
        """Remembers size and place."""
        self._remembered.setValue(f"{self._name}/geometry", self.saveGeometry())
        self._remembered.setValue(f"{self._name}/zoom", self.view.zoomFactor())
        self._remembered.sync()
        make_private(Path(self._remembered.fileName()))

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remembers size and place; the application decides whether it ends."""
        self.keep_place()
        super().closeEvent(event)

    def _place(self) -> None:
        kept = self._remembered.value(f"{self._name}/geometry")
        if not (isinstance(kept, QByteArray) and self.restoreGeometry(kept)):
            self.resize(*_USUAL[self._name])
        screen = QGuiApplication.primaryScreen()
        if screen is not None:  # another screen than last time may be smaller
            room = screen.availableGeometry()
            self.resize(min(self.width(), room.width()), min(self.height(), room.height()))
        try:
            zoom = float(str(self._remembered.value(f"{self._name}/zoom", 1.0)))
        except ValueError:
            zoom = 1.0
        self.view.setZoomFactor(min(4.0, max(0.5, zoom)) if isfinite(zoom) else 1.0)

    def _zoom(self, factor: float) -> None:
        self.view.setZoomFactor(min(4.0, max(0.5, self.view.zoomFactor() * factor)))


class ComposeWindow(PageWindow):
    """The small window: a text in, some answers out, one of them on the clipboard."""

    def __init__(self, profile: OwnProfile, remembered: QSettings) -> None:
        super().__init__("compose", "compose.html", profile, remembered)
        self.setWindowFlag(Qt.WindowType.WindowStaysOnTopHint)
        self.setWindowTitle(words("compose_title"))
        self.view.close_wanted.connect(self.close)

    def begin(self, text: str) -> None:
        """Comes up with a text to answer; an empty one leaves what stands there."""
        self.bring_up()
        if text:
            self.view.call("composeText", text)
