"""The words of the window itself; those of its pages stand in server/page."""

from __future__ import annotations

import locale

_ENGLISH = {
    "start_again": "Start it again",
    "dismiss": "Close this message",
    "compose_title": "edge-ttp: write like me",
    "starting": "The model process is starting…",
    "ended": "The model process {words}. It is being started again: what stands here stays.",
    "given_up": "The model process {words}, again and again. Nothing of your texts is lost.",
    "back": "The model process {words} and is back.",
    "turning": "The encryption of your texts is being changed: nothing else may use them meanwhile…",
    "open": "Open edge-ttp",
    "compose": "Write like me, from the clipboard",
    "quit": "Quit",
    "still_here": "edge-ttp goes on in the tray",
}
_GERMAN = {
    "start_again": "Neu starten",
    "dismiss": "Meldung schließen",
    "compose_title": "edge-ttp: schreib wie ich",
    "starting": "Der Modellprozess startet…",
    "ended": "Der Modellprozess {words}. Er wird neu gestartet: Was hier steht, bleibt.",
    "given_up": "Der Modellprozess {words}, immer wieder. Von Ihren Texten ist nichts verloren.",
    "back": "Der Modellprozess {words} und ist wieder da.",
    "turning": "Die Verschlüsselung Ihrer Texte wird geändert; solange kann sie nichts anderes benutzen…",
    "open": "edge-ttp öffnen",
    "compose": "Schreib wie ich, aus der Zwischenablage",
    "quit": "Beenden",
    "still_here": "edge-ttp läuft im Infobereich weiter",
}


def words(name: str, language: str | None = None, **values: str) -> str:
    """The words called `name`, in the system's language (English or German) where none is named."""
    if language is None:
        language = (locale.getlocale()[0] or "en")[:2].lower()
    return (_GERMAN if language in ("de", "ge") else _ENGLISH)[name].format(**values)
