"""Tokenizers in the place of a reward model's: growing texts, endless patterns, odd parts, damaged JSON."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from edge_ttp.paths import locate
from edge_ttp.registry import Registry
from edge_ttp.reward.model import RewardModel
from edge_ttp.schema import Candidate

from ..case import Case
from ..judge import SOUND, exchanged

Parts = dict[str, Any]

PATTERNS = (
    "(a+)+$",
    "(a|a)*b",
    "(.*)*x",
    "((a*)*)*",
    "",
    "(?=a)",
    "[",
    "\\p{L}+" * 500,
    "(" * 5000,
    ".{1,100000}",
    "a{1000}{1000}",
)


def grow(chance: random.Random, parts: Parts) -> str:
    """A normalizer that makes texts longer, and longer."""
    count, times = chance.choice((1, 5, 12, 30, 64)), chance.choice((2, 10, 1000, 100_000))
    letter = chance.choice(["a", " ", "e"])
    replace = {"type": "Replace", "pattern": {"String": letter}, "content": letter * times}
    if chance.random() < 0.3:
        replace = {"type": "Prepend", "prepend": "a" * times}
    parts["normalizer"] = {"type": "Sequence", "normalizers": [replace] * count}
    return f"texts grow {times} times, {count} times over"


def pattern(chance: random.Random, parts: Parts) -> str:
    """A pattern that takes for ever, or is none."""
    made = {"Regex": chance.choice(PATTERNS)}
    if chance.random() < 0.5:
        parts["normalizer"] = {"type": "Replace", "pattern": made, "content": chance.choice(["", "a", "aaaa" * 1000])}
    else:
        behaviour = chance.choice(["Removed", "Isolated", "MergedWithNext", "Contiguous", "Odd"])
        parts["pre_tokenizer"] = {
            "type": "Split",
            "pattern": made,
            "behavior": behaviour,
            "invert": chance.random() < 0.3,
        }
    return f"the pattern {made['Regex'][:20]!r}"


def deep(chance: random.Random, parts: Parts) -> str:
    """Sequences within sequences."""
    depth = chance.choice((10, 100, 120, 5000))
    name, many = chance.choice([("normalizer", "normalizers"), ("pre_tokenizer", "pretokenizers")])
    made: Any = {"type": "Lowercase"} if name == "normalizer" else {"type": "Whitespace"}
    for _ in range(min(depth, 400)):
        made = {"type": "Sequence", many: [made]}
    parts[name] = made
    return f"a {name} {depth} deep"


def part(chance: random.Random, parts: Parts) -> str:
    """Another normalizer, pre-tokenizer, decoder or post-processor."""
    name = chance.choice(["normalizer", "pre_tokenizer", "post_processor"])
    parts[name] = chance.choice(
        [
            None, {}, [], {"type": "Nosuch"}, {"type": "Precompiled", "precompiled_charsmap": "AAAA"},
            {"type": "Precompiled", "precompiled_charsmap": "/////w=="},
            {"type": "ByteLevel", "add_prefix_space": True},
            {"type": "Metaspace", "replacement": "", "prepend_scheme": "always"}, {"type": "BertNormalizer"},
            {"type": "RobertaProcessing", "sep": ["</s>", 2**31], "cls": ["<s>", 2**32 - 1]},
            {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}},
            {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "X", "type_id": 0}}] * 400,
             "pair": [], "special_tokens": {"X": {"id": "X", "ids": [2**31], "tokens": ["X"]}}},
            {"type": "FixedLength", "length": 0}, {"type": "Digits", "individual_digits": True},
            {"type": "Punctuation", "behavior": "Removed"}, {"type": "UnicodeScripts"}, {"type": "Whitespace"},
        ]
    )  # fmt: skip
    return f"{name} {json.dumps(parts[name])[:60]}"


def vocabulary(chance: random.Random, parts: Parts) -> str:
    """Words that are missing, numbers that there are not, another model."""
    which = chance.randrange(7)
    model = parts["model"]
    if which == 0:
        model["unk_token"] = chance.choice(["", "nosuch", None, 3])
        return f"unknown is {model['unk_token']!r}"
    if which == 1:
        model["vocab"] = {
            word: number + chance.choice((1, 2**20, 2**31, 2**32 - 40_000)) for word, number in model["vocab"].items()
        }
        return "numbers beyond the graph's"
    if which == 2:
        model["vocab"] = dict.fromkeys(model["vocab"], 5)
        return "all words one number"
    if which == 3:
        model["vocab"] = {word: number for word, number in model["vocab"].items() if chance.random() < 0.01}
        return "few words"
    if which == 4:
        model["max_input_chars_per_word"] = chance.choice((0, 1, 10**9, -1))
        return f"words of {model['max_input_chars_per_word']} letters"
    if which == 5:
        model["continuing_subword_prefix"] = chance.choice(["", "#" * 1000, None])
        return "another prefix"
    kinds: list[Parts] = [
        {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"], ["b", "x"]]},
        {"type": "BPE", "vocab": {"a": 0}, "merges": [], "unk_token": "nosuch", "byte_fallback": True},
        {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 7},
        {"type": "Unigram", "vocab": [], "unk_id": None},
        {"type": "Unigram", "vocab": [["", -1.0], ["a", 1e308]], "unk_id": 0},
        {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "nosuch"},
    ]
    parts["model"] = chance.choice(kinds)
    return f"a model of kind {parts['model']['type']}"


def added(chance: random.Random, parts: Parts) -> str:
    """Added tokens: many, empty, equal, with numbers that there are not."""
    sample = {"special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    which = chance.randrange(4)
    if which == 0:
        parts["added_tokens"] += [{**sample, "id": 40_000 + index, "content": f"t{index}"} for index in range(3000)]
    elif which == 1:
        parts["added_tokens"].append({**sample, "id": chance.choice((2**31, 2**32 - 1, 0)), "content": "the"})
    elif which == 2:
        parts["added_tokens"].append({**sample, "id": 31_000, "content": "", "normalized": True})
    else:
        parts["added_tokens"] = []
    return f"{len(parts['added_tokens'])} added tokens"


def limits(chance: random.Random, parts: Parts) -> str:
    """Odd ways to cut and to pad."""
    parts["truncation"] = {
        "max_length": chance.choice((0, 1, 2**62)), "strategy": chance.choice(["LongestFirst", "OnlySecond"]),
        "stride": chance.choice((0, 1, 500)), "direction": "Right",
    }  # fmt: skip
    if chance.random() < 0.5:
        parts["padding"]["strategy"] = {"Fixed": chance.choice((0, 10**6, 2**62))}
        parts["padding"]["pad_to_multiple_of"] = chance.choice((None, 0, 7, 2**62))
    return f"cut to {parts['truncation']['max_length']}"


CHANGES = (grow, grow, pattern, pattern, deep, part, part, vocabulary, vocabulary, added, limits)


_POOL = [Candidate(text=text, tokens=2, logprob=-1.0) for text in ("one thing é 今", "a" * 3000)]


class _Tokenizers:
    deadline_s = 55.0
    budget_bytes = 0

    def __init__(self, home: Path) -> None:
        self._registry = Registry(locate(home))
        self._sound = (SOUND / "tokenizer.json").read_text()

    def case(self, chance: random.Random, folder: Path) -> Case:
        if chance.random() < 0.1:
            data = bytearray(self._sound.encode())
            for _ in range(count := chance.choice((1, 5, 50))):
                data[chance.randrange(3000 if chance.random() < 0.5 else len(data))] = chance.randrange(256)
            made, what = bytes(data), f"{count} bytes changed"
        else:
            parts = json.loads(self._sound)
            what = "; ".join(chance.choice(CHANGES)(chance, parts) for _ in range(chance.choice((1, 1, 2))))
            made = json.dumps(parts).encode()
        where = exchanged(folder / "judge", "tokenizer.json", made)
        return Case(what, lambda: self._use(where))

    def _use(self, folder: Path) -> None:
        model = RewardModel.load(self._registry.locate(folder, kind="reward").path, threads=1)
        model.score(model.profile(()), "hello there, aaa", _POOL)


def open(home: Path) -> _Tokenizers:
    return _Tokenizers(home)
