"""A small window whose whole face can be dragged: the files and folders named on its command line. A real drag source,
as a file manager is one (XDND)."""

from __future__ import annotations

import sys

from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QDrag, QMouseEvent
from PySide6.QtWidgets import QApplication, QLabel


class Source(QLabel):
    """Begins a drag with the first move of a pressed mouse."""

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """As above."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            carried = QMimeData()
            carried.setUrls([QUrl.fromLocalFile(path) for path in sys.argv[1:]])
            drag = QDrag(self)
            drag.setMimeData(carried)
            drag.exec(Qt.DropAction.CopyAction)


if __name__ == "__main__":
    application = QApplication(["dragging"])
    source = Source("drag me")
    source.setWindowTitle("drag source")
    source.setAlignment(Qt.AlignmentFlag.AlignCenter)
    source.resize(140, 60)
    source.move(5, 5)
    source.show()
    sys.exit(application.exec())
