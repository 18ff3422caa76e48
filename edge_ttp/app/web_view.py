"""The page in a Qt WebEngine view: it reaches its own server and nothing else, and asks the window for what only a
window can do (choose a folder, use the clipboard), by JavaScript's prompt()."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PySide6.QtCore import QSettings, QStandardPaths, QUrl, Signal
from PySide6.QtGui import (
    QDesktopServices,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QGuiApplication,
)
from PySide6.QtWebEngineCore import (
    QWebEngineDownloadRequest,
    QWebEnginePage,
    QWebEngineProfile,
    QWebEngineScript,
    QWebEngineSettings,
    QWebEngineUrlRequestInfo,
    QWebEngineUrlRequestInterceptor,
)
from PySide6.QtWebEngineWidgets import QWebEngineView
from PySide6.QtWidgets import QFileDialog, QWidget

from edge_ttp.app.history_turn import WISHES

ASKS = "edge-ttp:"
"""What a prompt that the window answers begins with."""
AGENT = "EdgeTTPWindow/1"
_MOST_MEMORY = 100_000
"""Characters of what the page may have remembered."""


class _OnlyOwnServer(QWebEngineUrlRequestInterceptor):
    """Blocks every request but those to the server of this app: nothing of a page can reach the network."""

    def __init__(self) -> None:
        super().__init__()
        self.server = ""

    def interceptRequest(self, info: QWebEngineUrlRequestInfo) -> None:
        """Called by Qt for each request."""
        url = info.requestUrl()
        inside = url.scheme() in ("data", "blob", "about", "qrc", "chrome", "devtools")
        own = bool(self.server) and url.authority() == self.server and url.scheme() == "http"
        info.block(not (inside or own))


class OwnProfile(QWebEngineProfile):
    """A browser engine that keeps nothing on disk. What the page wants remembered, `remembered` keeps."""

    def __init__(self, remembered: QSettings) -> None:
        super().__init__()  # without a name: off the record
        self._remembered = remembered
        self.setHttpCacheType(QWebEngineProfile.HttpCacheType.NoCache)
        self.setHttpUserAgent(f"{self.httpUserAgent()} {AGENT}")
        self.setSpellCheckEnabled(False)
        self.guard = _OnlyOwnServer()
        self.setUrlRequestInterceptor(self.guard)
        self.downloadRequested.connect(_save)

    def page_memory(self) -> dict[str, str]:
        """What the page had remembered the last time; empty where that cannot be read."""
        return _page_memory(str(self._remembered.value("page", "")))

    def remember(self, text: str) -> None:
        """Keeps what the page says it remembers, if that is what it should be."""
        self._remembered.setValue("page", json.dumps(_page_memory(text)))
        self._remembered.sync()
        make_private(Path(self._remembered.fileName()))


class _WindowPage(QWebEnginePage):
    """The page, with the prompts that it asks its window by."""

    def __init__(self, profile: OwnProfile, view: PageView) -> None:
        super().__init__(profile, view)
        self._view = view
        settings = self.settings()
        attributes = QWebEngineSettings.WebAttribute
        settings.setAttribute(attributes.JavascriptCanAccessClipboard, True)
        settings.setAttribute(attributes.LocalContentCanAccessRemoteUrls, False)
        settings.setAttribute(attributes.PluginsEnabled, False)
        settings.setAttribute(attributes.ScreenCaptureEnabled, False)
        settings.setAttribute(attributes.FullScreenSupportEnabled, False)

    def acceptNavigationRequest(
        self, url: QUrl | str, kind: QWebEnginePage.NavigationType, is_main_frame: bool
    ) -> bool:
        """Stays on its own server; a link to elsewhere is for the person's browser."""
        wanted = QUrl(url)
        if wanted.authority() == self._view.server or wanted.scheme() in ("about", "data", "blob"):
            return True
        if kind == QWebEnginePage.NavigationType.NavigationTypeLinkClicked:
            QDesktopServices.openUrl(wanted)
        return False

    def javaScriptPrompt(self, origin: QUrl | str, message: str, default: str) -> Any:
        """Answers what the page asks its window; other prompts are refused."""
        if QUrl(origin).authority() != self._view.server or not message.startswith(ASKS):
            return False, ""
        return self._view.answer_page(message.removeprefix(ASKS), default)

    def javaScriptConsoleMessage(self, *_: Any) -> None:
        """Says nothing: what the page logs is for its own tests."""


class PageView(QWebEngineView):
    """A page of the server. `dropped` is told the paths of files and folders that were dropped on it."""

    copied = Signal(str)
    close_wanted = Signal()
    history_wish = Signal(str)

    def __init__(self, profile: OwnProfile, page: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.server = ""
        self._name, self._profile = page, profile
        self._page = _WindowPage(profile, self)
        self.setPage(self._page)
        self.setAcceptDrops(True)
        self._page.renderProcessTerminated.connect(lambda *_: self.reload())
        self._when_loaded: list[str] = []
        self._loaded = False
        self.loadFinished.connect(self._after_load)

    def open_at(self, url: str, token: str) -> None:
        """Loads the page of the server at `url`, unless it is there already."""
        server = urlsplit(url).netloc
        if server == self.server and self._loaded:
            return
        self.server = server
        self._profile.guard.server = server
        self._loaded = False
        # The token is handed over inside: an address is kept in the engine's list of visited pages.
        handing = QWebEngineScript()
        handing.setName("token")
        handing.setInjectionPoint(QWebEngineScript.InjectionPoint.DocumentCreation)
        handing.setWorldId(QWebEngineScript.ScriptWorldId.MainWorld)
        handing.setSourceCode(
            f"if (location.origin === {json.dumps(url)}) {{"
            f"sessionStorage.setItem('edge-ttp-token', {json.dumps(token)});"
            f"if (!localStorage.length) Object.assign(localStorage, {json.dumps(self._profile.page_memory())});}}"
        )
        scripts = self._page.scripts()
        scripts.clear()
        scripts.insert(handing)
        self.setUrl(QUrl(f"{url}/{self._name}"))

    def call(self, function: str, *values: Any) -> None:
        """Calls a function of the page, as soon as it is there."""
        script = f"window.{function}({', '.join(json.dumps(value) for value in values)})"
        if self._loaded:
            self._page.runJavaScript(script)
        else:
            self._when_loaded.append(script)

    def _after_load(self, fine: bool) -> None:
        self._loaded = fine
        if fine:
            for script in self._when_loaded:
                self._page.runJavaScript(script)
            self._when_loaded.clear()

    def answer_page(self, wanted: str, default: str) -> tuple[bool, str]:
        """What the page asked for."""
        board = QGuiApplication.clipboard()
        if wanted == "choose-folder":
            found = QFileDialog.getExistingDirectory(self, "", default or str(Path.home()))
            return bool(found), found
        if wanted == "copy":
            board.setText(default)
            self.copied.emit(default)
            return True, ""
        if wanted == "paste":
            return True, board.text()
        if wanted == "history" and default in WISHES:
            self.history_wish.emit(default)
            return True, ""
        if wanted == "remember":
            self._profile.remember(default)
            return True, ""
        if wanted == "close":
            self.close_wanted.emit()
            return True, ""
        return False, ""

    # Dropped files: a page sees their contents only, a window their paths, folders too.

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Takes files and folders."""
        if local_paths(event.mimeData().urls()):
            event.acceptProposedAction()
            self.call("draggedOver", True)
        else:
            super().dragEnterEvent(event)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        """As above."""
        if local_paths(event.mimeData().urls()):
            event.acceptProposedAction()
        else:
            super().dragMoveEvent(event)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """The page need not show any more where to drop."""
        self.call("draggedOver", False)
        super().dragLeaveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        """Hands the paths to the page, which asks the server to read them."""
        paths = local_paths(event.mimeData().urls())
        if not paths:
            super().dropEvent(event)
            return
        event.acceptProposedAction()
        self.call("droppedPaths", [{"path": str(path), "git": (path / ".git").exists()} for path in paths])


def _page_memory(text: str) -> dict[str, str]:
    """Names and values of what the page remembers; none where `text` is anything else."""
    try:
        told = json.loads(text) if len(text) < _MOST_MEMORY else {}
        return {str(name): str(value) for name, value in told.items() if str(name).startswith("edge-ttp-")}
    except (ValueError, AttributeError, RecursionError):
        return {}


def local_paths(urls: list[QUrl]) -> list[Path]:
    """The files and folders of this machine among `urls`; none where one is of elsewhere."""
    return [Path(url.toLocalFile()) for url in urls] if urls and all(url.isLocalFile() for url in urls) else []


def _save(wanted: QWebEngineDownloadRequest) -> None:
    """Asks where an export goes, and keeps it for its owner alone."""
    folder = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DownloadLocation)
    path, _ = QFileDialog.getSaveFileName(None, "", str(Path(folder) / wanted.downloadFileName()))
    if not path:
        wanted.cancel()
        return
    wanted.setDownloadDirectory(str(Path(path).parent))
    wanted.setDownloadFileName(Path(path).name)
    wanted.isFinishedChanged.connect(lambda: make_private(Path(path)))
    wanted.accept()


def make_private(path: Path) -> None:
    """Lets its owner alone open a file."""
    with suppress(OSError):
        path.chmod(0o600)
