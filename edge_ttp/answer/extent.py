"""How long an answer is asked for: what a request says of words, sentences, items of a list, or the kind of text.

Rules, in the languages of UNITS; pure text, no model. A number that is not about the answer ("I wrote 150 words
yesterday") may be taken for one: it only allows more, and forces nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

MOST_WORDS = 2000
"""Longest answer that is believed to be meant."""

_NUMBERS = {
    "en": "one two three four five six seven eight nine ten eleven twelve",
    "de": "ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
    "fr": "un deux trois quatre cinq six sept huit neuf dix onze douze",
    "es": "un dos tres cuatro cinco seis siete ocho nueve diez once doce",
    "it": "un due tre quattro cinque sei sette otto nove dieci undici dodici",
    "pt": "um dois três quatro cinco seis sete oito nove dez onze doze",
    "nl": "een twee drie vier vijf zes zeven acht negen tien elf twaalf",
}
_VALUES = {word: value for words in _NUMBERS.values() for value, word in enumerate(words.split(), 1)}
_VALUES |= {"a": 1, "an": 1, "eine": 1, "einen": 1, "une": 1, "una": 1, "uno": 1, "uma": 1, "twenty": 20, "fifty": 50}
_VALUES |= {"hundred": 100, "dozen": 12}

UNITS: Mapping[str, tuple[int, bool, str]] = {
    "words": (1, False, r"words?|wörter[n]?|worten?|mots?|palabras?|parole|palavras?|woorden|語|词|字"),
    "sentences": (20, False, r"sentences?|sätzen?|satz|phrases?|frases?|frasi|zinnen|文"),
    "lines": (
        12,
        True,
        r"lines?|zeilen?|lignes?|líneas?|righe|linhas?|regels|行",
    ),
    "paragraphs": (80, True, r"paragraphs?|absätzen?|paragraphes?|párrafos?|paragrafi|parágrafos?|alinea'?s|段落?"),
    "items": (
        12,
        True,
        r"(?:bullet |list )?(?:points?|items?|bullets?|entries|ideas?|tips?|reasons?|ways?|steps?|names?|titles?|"
        r"suggestions?|examples?|questions?|options?|things|facts?|headlines?|recipes?|topics?|arguments?)|"
        r"punkten?|ideen|tipps|gründen?|schritten?|vorschlägen?|namen|beispielen?|fragen|"
        r"idées|conseils|raisons|étapes|propositions|exemples|noms|"
        r"ideas|consejos|razones|pasos|nombres|ejemplos|puntos|idee|consigli|motivi|passi|punti|esempi|"
        r"ideias|dicas|razões|passos|exemplos|pontos|ideeën|redenen|stappen|voorbeelden|項目?|个|個|つ",
    ),
}
"""What is counted: words that one of it takes, whether it stands on a line of its own, and what it is called."""

_KINDS: tuple[tuple[int, bool, str], ...] = (
    (400, True, r"essays?|aufsatz|disserta\w+|ensayo|saggio|redação|opstel|blog ?post|article|artikel|作文|文章"),
    (
        300,
        True,
        r"(?:short )?stor(?:y|ies)|geschichte|histoire|cuento|historia|storia|racconto|conto|verhaal|物語|故事",
    ),
    (200, True, r"(?:cover |formal )?letters?|brief|lettre|carta|lettera|手紙|信"),
    (150, True, r"recipes?|rezept|recette|receta|ricetta|receita|recept|レシピ|食谱"),
    (120, True, r"poems?|gedicht|poème|poema|poesia|詩|诗|songs?|lyrics"),
    (120, True, r"step[- ]by[- ]step|schritt für schritt|étape par étape|paso a paso|passo (?:dopo|a) passo"),
    (90, True, r"(?:bulleted |numbered |bullet |shopping |to-?do )?lists?|liste|lista|elenco|lijst|リスト|列表|清单"),
    (90, True, r"table|tabelle|tableau|tabla|tabella|tabela|outline|agenda|itinerary|gliederung"),
)
"""Kinds of text: words that one usually takes, whether it has several lines, and its names."""

_ASKING = (
    r"(?:write|explain|describe|tell|erklär\w*|draft|compose|give|make|create|list|name|suggest|send|prepare|produce|generate|need|want|"
    r"schreib\w*|"
    r"verfass\w*|nenn\w*|gib|erstell\w*|mach\w*|écri\w*|rédige\w*|donne\w*|fais|faites|cite\w*|liste\w*|escrib\w*|"
    r"redacta\w*|dame|haz|enumera|scriv\w*|dammi|elenca|fammi|escrev\w*|dê|faça|liste|schrijf|geef|maak|noem)"
)
_NUMBER = r"(\d{1,4}|" + "|".join(sorted(map(re.escape, _VALUES), key=len, reverse=True)) + ")"
_BETWEEN = r"(?:[\s\-–]+|)(?:[^\W\d_]+[\s\-]+){0,2}?"
_ASKED_KIND = rf"\b{_ASKING}\b[^.?!\n]{{{{0,60}}}}?(?<!\w)(?:{{names}})(?!\w)|^(?:an? )?(?:{{names}})\b"
_LIST_OF = rf"\b(?:list|liste|lista|elenco|lijst)\s+(?:of|von|mit|de|di|van|with)\s+{_NUMBER}\b"
_SAID = 2_000
"""Characters at the beginning and at the end of a request that are looked at: between them are documents."""


@dataclass(frozen=True)
class Extent:
    """What a request says of its answer's length."""

    words: int = 0
    """Words that the answer takes; 0 where nothing is said."""
    several_lines: bool = False
    """Whether the answer has more than one line."""


@dataclass(frozen=True)
class _Patterns:
    """Compiled when the first request is read: what merely imports this does not pay for them."""

    counted: Mapping[str, re.Pattern[str]]
    """By unit."""
    kinds: tuple[tuple[int, bool, re.Pattern[str]], ...]
    list_of: re.Pattern[str]


@cache
def _patterns() -> _Patterns:
    counted = {
        unit: re.compile(rf"(?<![\w.,]){_NUMBER}{_BETWEEN}(?:{names})(?!\w)", re.IGNORECASE)
        for unit, (_, _, names) in UNITS.items()
    }
    kinds = tuple((words, lines, re.compile(_ASKED_KIND.format(names=names), re.I)) for words, lines, names in _KINDS)
    return _Patterns(counted, kinds, re.compile(_LIST_OF, re.I))


def asked(request: str) -> Extent:
    """What `request` says of the length and the shape of its answer."""
    said = request if len(request) <= 2 * _SAID else f"{request[:_SAID]}\n{request[-_SAID:]}"
    words, lines = 0, False
    patterns = _patterns()
    for unit, pattern in patterns.counted.items():
        each, own_line, _ = UNITS[unit]
        for match in pattern.finditer(said):
            number = _value(match[1])
            words = max(words, number * each)
            lines |= own_line and number > 1
    for match in patterns.list_of.finditer(said):
        words, lines = max(words, 12 * _value(match[1])), True
    for usual, several, pattern in patterns.kinds:
        if pattern.search(said):
            words, lines = words or usual, lines or several
    return Extent(min(words, MOST_WORDS), lines)


def _value(text: str) -> int:
    return int(text) if text.isdecimal() else _VALUES[text.lower()]
