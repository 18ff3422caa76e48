"""Which languages a policy can write: how often it answers in the language it is asked in, and what a text costs it.

The same requests are put in every language. What they cost to read (nats), over those of the English ones, says how
well a policy knows a language, whatever its tokens are; the answers say whether it stays in it. Both are asked for,
since nonsense may be drawn in any language. The sentences are our own: what is famous was learned by heart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from edge_ttp.answer.encoding import encode
from edge_ttp.answer.language import detect, name
from edge_ttp.answer.prompt import Style
from edge_ttp.errors import InvalidInput
from edge_ttp.policy.formats.fidelity import Passage, PolicyScorer
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.request import Control, Request
from edge_ttp.schema import Sampling

ANSWERED = 0.75
"""Least share of answers that are in the language of the request."""
COSTS = 1.5
"""Most nats of the requests over those of the English ones."""
CANDIDATES = 4
LONGEST = 48

Advance = Callable[[int], None]

REQUESTS = {
    "en": ("Can you help me move on Saturday?", "What should we cook tonight?", "How was your holiday by the sea?"),
    "de": (
        "Kannst du mir am Samstag beim Umzug helfen?",
        "Was sollen wir heute Abend kochen?",
        "Wie war dein Urlaub am Meer?",
    ),
    "fr": (
        "Peux-tu m'aider à déménager samedi ?",
        "Qu'est-ce qu'on prépare à manger ce soir ?",
        "Comment se sont passées tes vacances à la mer ?",
    ),
    "es": (
        "¿Puedes ayudarme con la mudanza el sábado?",
        "¿Qué cocinamos esta noche?",
        "¿Qué tal tus vacaciones en el mar?",
    ),
    "it": (
        "Puoi aiutarmi con il trasloco sabato?",
        "Che cosa cuciniamo stasera?",
        "Com'è andata la tua vacanza al mare?",
    ),
    "pt": (
        "Podes ajudar-me com a mudança no sábado?",
        "O que vamos cozinhar hoje à noite?",
        "Como foram as tuas férias na praia?",
    ),
    "nl": (
        "Kun je me zaterdag helpen met verhuizen?",
        "Wat zullen we vanavond koken?",
        "Hoe was je vakantie aan zee?",
    ),
    "sv": (
        "Kan du hjälpa mig att flytta på lördag?",
        "Vad ska vi laga till middag i kväll?",
        "Hur var din semester vid havet?",
    ),
    "pl": (
        "Czy możesz mi pomóc w przeprowadzce w sobotę?",
        "Co ugotujemy dziś wieczorem?",
        "Jak było na wakacjach nad morzem?",
    ),
    "ru": (
        "Ты можешь помочь мне с переездом в субботу?",
        "Что мы приготовим сегодня вечером?",
        "Как прошёл твой отпуск на море?",
    ),
    "ja": ("土曜日に引っ越しを手伝ってくれますか。", "今晩は何を作りましょうか。", "海での休暇はどうでしたか。"),
    "zh": ("星期六你能帮我搬家吗?", "我们今晚做什么菜?", "你在海边的假期过得怎么样?"),
}


@dataclass(frozen=True)
class LanguageRow:
    """How a policy does in one language."""

    language: str
    answered: float
    """Share of the answers that are surely in it, 0 to 1."""
    cost: float
    """Nats of the requests over those of the English ones."""

    @property
    def written(self) -> bool:
        """Whether it can be said to write this language."""
        return self.answered >= ANSWERED and self.cost <= COSTS

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "name": name(self.language), "written": self.written}


def measure(
    path: Path,
    style: Style,
    *,
    languages: Sequence[str] = tuple(REQUESTS),
    threads: int,
    advance: Advance,
    cancel: Event | None = None,
) -> list[LanguageRow]:
    """A row for every one of the languages, in the order of REQUESTS. `advance` is called with the languages done.

    Raises InvalidInput for one that there are no requests in.
    """
    if unknown := sorted({*languages} - {*REQUESTS}):
        raise InvalidInput(f"there are no requests in {unknown[0]!r}", f"choose among {', '.join(REQUESTS)}")
    asked = [one for one in REQUESTS if one in languages]
    policy = LlamaPolicy(path, threads=threads)
    try:
        texts = {one: policy.encode_text(" ".join(REQUESTS[one])) for one in dict.fromkeys(("en", *asked))}
        answered = {}
        for number, language in enumerate(asked, 1):
            if cancel is not None and cancel.is_set():
                break
            answered[language] = _answered(policy, style, language)
            advance(number)
    finally:
        policy.close()
    with PolicyScorer(path, threads=threads) as scorer:
        nats = {language: _nats(scorer, tokens) for language, tokens in texts.items()}
    return [LanguageRow(one, answered[one], nats[one] / nats["en"]) for one in answered]


def written(rows: Sequence[LanguageRow]) -> list[str]:
    """The codes that belong in the policy's manifest."""
    return [row.language for row in rows if row.written]


def _answered(policy: LlamaPolicy, style: Style, language: str) -> float:
    """Share of answers that are in the language of the request, of those long enough to tell."""
    right = []
    for place, request in enumerate(REQUESTS[language]):
        encoded = encode(policy, style, request, ())
        drawn = policy.sample(
            Request(
                prompt=encoded.tokens,
                n=CANDIDATES,
                sampling=Sampling(),
                seed=place,
                max_tokens=LONGEST,
                stop=encoded.prompt.stop,
            ),
            Control(),
        )
        right += [told == language for one in drawn.candidates if (told := detect(one.text)) is not None]
    return float(np.mean(right)) if right else 0.0


def _nats(scorer: PolicyScorer, tokens: Sequence[int]) -> float:
    """What the tokens after the first cost the policy."""
    passage = Passage(tuple(tokens), tuple(range(1, len(tokens))))
    total, at = 0.0, 1
    for logits in scorer.logits(passage):
        rows = logits.astype(np.float64)
        most = rows.max(axis=1, keepdims=True)
        normal = most[:, 0] + np.log(np.exp(rows - most).sum(axis=1))
        picked = rows[np.arange(len(rows)), np.asarray(tokens[at : at + len(rows)])]
        total += float((normal - picked).sum())
        at += len(rows)
    return total
