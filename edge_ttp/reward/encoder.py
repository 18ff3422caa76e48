"""The text encoder: texts in, unit vectors out. A sentence encoder on onnxruntime with its own tokenizer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from edge_ttp.errors import ModelUnavailable
from edge_ttp.reward.graph_bounds import DOMAINS
from edge_ttp.reward.session import Session

Vectors = npt.NDArray[np.float32]

MAX_CHARACTERS_PER_TOKEN = 12
"""A text is cut to this many characters per token before tokenizing: a huge text costs no more than a long one."""

_LONGEST_WORD = 96

ROWS = 64
"""Most texts in one run of the graph, which bounds its memory."""


class TextEncoder:
    """Encodes texts as mean-pooled, L2-normalised token vectors. May be used from several threads."""

    def __init__(
        self,
        graph: bytes,
        tokenizer: bytes,
        *,
        name: str,
        fingerprint: str,
        width: int,
        max_tokens: int,
        threads: int,
        domains: Sequence[bytes] = DOMAINS,
    ) -> None:
        """An encoder from the bytes of encoder.onnx and tokenizer.json.

        `fingerprint` names weights, tokenizer and max_tokens: vectors of another fingerprint are not comparable.
        `domains`: whose operators the graph may use (edge_ttp.reward.graph_bounds).
        Raises ModelUnavailable for a file that cannot be loaded or a graph of another width.
        """
        self.fingerprint = fingerprint
        self.width = width
        self.max_tokens = max_tokens
        with _sound_tokenizer(f"the tokenizer of {name}"):
            self._tokenizer = Tokenizer.from_str(tokenizer.decode("utf-8"))
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(max_tokens)
            self._pad = self._tokenizer.token_to_id("[PAD]") or 0
        self._name = name
        self._session = Session(
            graph,
            name=f"encoder.onnx of {name}",
            inputs=("input_ids", "attention_mask"),
            outputs=("embedding", "states"),
            threads=threads,
            domains=domains,
        )
        if self.encode([""]).shape != (1, width):
            raise ModelUnavailable(f"encoder.onnx of {name} does not give vectors of {width} numbers", "pull it again")

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(N, width) float32 unit vectors of `texts`, in their order.

        Texts are cut to `max_tokens` tokens and run together with others of about their length, so that short ones
        are not padded to the longest. An empty text has a vector too (that of its two special tokens).
        """
        if not texts:
            return np.zeros((0, self.width), dtype=np.float32)
        limit = self.max_tokens * MAX_CHARACTERS_PER_TOKEN
        with _sound_tokenizer(f"the tokenizer of {self._name}"):
            encodings = self._tokenizer.encode_batch([_encodable(text[:limit]) for text in texts])
            ids = [encoding.ids[: self.max_tokens] or [self._pad] for encoding in encodings]
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        vectors = np.empty((len(ids), self.width), dtype=np.float32)
        for _, bucket in groupby(order, key=lambda index: _bucket(len(ids[index]))):
            rows = list(bucket)
            for start in range(0, len(rows), ROWS):
                part = rows[start : start + ROWS]
                vectors[part] = self._run([ids[index] for index in part])
        return vectors

    def states(self, text: str) -> Vectors:
        """(T, width) token states of one text."""
        ids = np.array([self._encoding(text).ids or [self._pad]], dtype=np.int64)
        (states,) = self._session.run({"input_ids": ids, "attention_mask": np.ones_like(ids)}, outputs=("states",))
        if states.shape != (1, ids.shape[1], self.width) or not np.isfinite(states).all():
            raise ModelUnavailable("the text encoder gave no usable states", "pull or export the reward model again")
        return np.asarray(states[0], dtype=np.float32)

    def starts(self, text: str) -> dict[int, int]:
        """Which token of one text begins at which of its characters."""
        offsets = self._encoding(text).offsets
        return {start: place for place, (start, end) in reversed(list(enumerate(offsets))) if end > start}

    def pieces(self, word: str) -> list[int]:
        """The wordpieces of one word alone."""
        with _sound_tokenizer(f"the tokenizer of {self._name}"):
            return list(self._tokenizer.encode(_encodable(word[:_LONGEST_WORD]), add_special_tokens=False).ids)

    def _encoding(self, text: str) -> Encoding:
        limit = self.max_tokens * MAX_CHARACTERS_PER_TOKEN
        with _sound_tokenizer(f"the tokenizer of {self._name}"):
            encoding: Encoding = self._tokenizer.encode(_encodable(text[:limit]))
        return encoding

    def _run(self, batch: Sequence[Sequence[int]]) -> Vectors:
        length = max(len(row) for row in batch)
        input_ids = np.full((len(batch), length), self._pad, dtype=np.int64)
        mask = np.zeros((len(batch), length), dtype=np.int64)
        for index, row in enumerate(batch):
            input_ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        (vectors,) = self._session.run({"input_ids": input_ids, "attention_mask": mask}, outputs=("embedding",))
        if vectors.shape != (len(batch), self.width) or not np.isfinite(vectors).all():
            raise ModelUnavailable("the text encoder gave no usable vectors", "pull or export the reward model again")
        return vectors.astype(np.float32, copy=False)


@contextmanager
def _sound_tokenizer(name: str) -> Iterator[None]:
    """Raises ModelUnavailable for whatever the library raises in the block: plain Exception, or a panic of Rust."""
    try:
        yield
    except ModelUnavailable:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise  # Ctrl-C
        raise ModelUnavailable(
            f"{name} cannot be used: {str(error)[:120]}", "pull or export the reward model again"
        ) from error


def _encodable(text: str) -> str:
    """`text` without lone surrogates, which the tokenizer's UTF-8 cannot hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _bucket(length: int) -> int:
    """Texts share a run where their lengths in tokens lie within about a factor 1.4; up to 24 tokens all do."""
    return max(0, math.ceil(2 * math.log2(max(length, 1) / 24)))
