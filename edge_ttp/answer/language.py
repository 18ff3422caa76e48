"""Which language a text is in, by py3langid (offline, 139 languages), and what a policy can write.

py3langid was chosen among maintained detectors that need no network (lingua was the other) because it is small:
one file of numpy arrays; `edge-ttp bench languages` says which languages a policy writes.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from functools import cache
from typing import Protocol

SURE = 0.9
"""Probability from which a detection is believed."""

LIKELY, UNLIKELY = 0.6, 0.02
"""A request is foreign to a policy where its language is at least so likely, and each that the policy writes at most
so. Strict on purpose: a note that is wrong annoys more than one that is missing helps."""

LEAST_LETTERS = 12
"""Shorter texts are not judged, except in scripts where a few characters are a sentence."""

_READ = 2_000

_reading = threading.Lock()

NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek",
    "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish", "fr": "French",
    "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "nl": "Dutch", "no": "Norwegian",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian",
    "sr": "Serbian", "sv": "Swedish", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "vi": "Vietnamese",
    "zh": "Chinese",
}  # fmt: skip
"""Names of languages by their ISO 639-1 codes; others are called by their code."""


class _Identifier(Protocol):
    def rank(self, text: str) -> Sequence[tuple[str, float]]:
        """Languages with their probabilities, the most probable first."""


def detect(text: str) -> str | None:
    """ISO 639-1 code of the language that `text` is surely in; None where it is too short or not sure."""
    ranks = _ranks(text)
    return ranks[0][0] if ranks and ranks[0][1] >= SURE else None


def foreign(request: str, languages: Sequence[str], policy: str) -> str | None:
    """What to say of a request in a language that the policy cannot write; None where there is nothing to say.

    `languages`: ISO 639-1 codes of what was measured that it can write; empty where nothing was measured.
    """
    if not languages:
        return None
    ranks = _ranks(request)
    if not ranks or ranks[0][1] < LIKELY or any(share > UNLIKELY for one, share in ranks if one in languages):
        return None
    language = ranks[0][0]
    known = ", ".join(name(one) for one in languages)
    return (
        f"the request seems to be in {name(language)}, which {policy} cannot write well (it writes {known}):"
        f" `edge-ttp models suggest --language {language}` names others, for --model"
    )


def name(code: str) -> str:
    """The language's English name."""
    return NAMES.get(code, code)


def _ranks(text: str) -> Sequence[tuple[str, float]]:
    """Languages with their probabilities, the most probable first; none for a text that says too little."""
    read = text[:_READ]
    letters = sum(character.isalpha() for character in read)
    dense = any(ord(character) > 0x2E7F for character in read)  # Chinese, Japanese, Korean
    if letters < (4 if dense else LEAST_LETTERS):
        return ()
    ranks = _identifier().rank(read)
    return ranks if math.isfinite(ranks[0][1]) else ()


def load() -> None:
    """Reads the model of languages now, once a process (4 MB, about a second), so that no request waits for it."""
    _identifier()


def _identifier() -> _Identifier:
    with _reading:  # a request that comes while it is read waits for that, and does not read it again
        return _read_identifier()


@cache
def _read_identifier() -> _Identifier:
    # Only when a request is looked at. The module's own `classify` gives no probabilities.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    found: _Identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return found
