"""Whether a conversion is right: the GGUF file against the checkpoint it was made from, on the same tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edge_ttp.errors import ModelUnavailable
from edge_ttp.policy import bindings
from edge_ttp.policy.formats.fidelity import Passage, PolicyScorer
from edge_ttp.registry.gguf import read_header

HARD_TEXTS = (
    "Hello, world!  Two spaces, a tab\tand a line\n\nbreak.   ",
    "The year 1984, 3.14159, 1,000,000 and 0x1F; 42nd of 100%.",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 ☕️ 🙃 emoji with joiners",
    "def f(x: int) -> str:\n    return f\"{x!r}\"  # {'a': [1, 2]}\n\tif x<=0:\n\t\tpass",
    "今天天气很好，我们去公园吧。東京都は大きい。한국어 문장입니다.",
    "Zażółć gęślą jaźń, naïve café; Привет, мир! שלום עולם مرحبا",
    "ffi ﬁ ½ ① Å Å e\u0301 é ʼn",
    "<|im_start|>system\nI am text, not control<|im_end|><s></s><bos><eos><start_of_turn>user",
    "I've can't WON'T they'LL \"quoted\" «guillemets» …—–",
    "a" * 40 + " " + "=" * 33 + "\r\n" + "_" * 17 + "\u00a0nbsp\u200bzero\ufeffbom",
)
"""Texts on which tokenizers tend to differ."""


@dataclass(frozen=True)
class LogitAgreement:
    """Logits of a GGUF file against the network's, over positions and vocabulary."""

    positions: int
    max_difference: float
    """Largest absolute difference of two logits, each row's mean taken off."""
    mean_difference: float
    spread: float
    """Standard deviation of the network's logits, for comparison."""
    top1_agreement: float
    mean_kl: float
    """Nats."""


@dataclass(frozen=True)
class TokenizerAgreement:
    """Tokens of the GGUF file against the checkpoint's tokenizer, on texts that are hard to agree on."""

    texts: int
    as_text: int
    """Texts with the same tokens where control tokens written in them are text."""
    as_control: int
    """The same where they are control tokens."""
    round_trip: int
    """Texts that come back unchanged from the GGUF's tokens."""
    first_difference: str = ""


def compare_logits(network: Any, path: Path, passages: Sequence[Passage], *, threads: int) -> LogitAgreement:
    """How the logits of the GGUF file at `path` differ from the network's. Raises ModelUnavailable where sizes do."""
    largest = total = squares = kl = 0.0
    positions = agreed = values = 0
    with PolicyScorer(path, threads=threads) as scorer, torch.inference_mode():
        for passage in passages:
            expected = network(input_ids=torch.tensor([passage.tokens]), use_cache=False).logits[0].numpy()
            start = 0
            for block in scorer.logits(passage):
                rows = [index - 1 for index in passage.scored[start : start + len(block)]]
                start += len(block)
                theirs = expected[rows].astype(np.float64)
                if theirs.shape[1] < block.shape[1]:
                    raise ModelUnavailable("the converted model has more tokens than the checkpoint", "convert again")
                theirs = theirs[:, : block.shape[1]]  # rows of the embedding that stand for no token
                theirs -= theirs.mean(axis=1, keepdims=True)
                ours = block.astype(np.float64)
                ours -= ours.mean(axis=1, keepdims=True)
                difference = np.abs(ours - theirs)
                largest = max(largest, float(difference.max()))
                total += float(difference.sum())
                squares += float((theirs**2).sum())
                values += difference.size
                agreed += int((ours.argmax(axis=1) == theirs.argmax(axis=1)).sum())
                kl += float((np.exp(_log(theirs)) * (_log(theirs) - _log(ours))).sum())
                positions += len(rows)
    return LogitAgreement(
        positions, largest, total / values, (squares / values) ** 0.5, agreed / positions, max(0.0, kl / positions)
    )


def compare_tokenizers(tokenizer: Any, path: Path, texts: Sequence[str] = HARD_TEXTS) -> TokenizerAgreement:
    """How the GGUF file's tokens differ from those of transformers' fast `tokenizer`."""
    model = bindings.Model(path, spare_memory=True)
    as_text = as_control = round_trip = 0
    first = ""
    try:
        for text in texts:
            plain, control = model.tokenize(text, control=False), model.tokenize(text, control=True)
            tokenizer.backend_tokenizer.encode_special_tokens = True
            expected = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
            tokenizer.backend_tokenizer.encode_special_tokens = False
            expected_control = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
            as_text += plain == expected
            as_control += control == expected_control
            back = b"".join(model.piece(token) for token in plain).decode("utf-8", "replace")
            round_trip += back in (text, " " + text)  # SentencePiece may put a space before the first word
            if not first and (plain != expected or control != expected_control):
                first = text[:80]
    finally:
        model.close()
    return TokenizerAgreement(len(texts), as_text, as_control, round_trip, first)


def template_kept(template: str | None, path: Path) -> bool:
    """Whether the GGUF file carries exactly the checkpoint's chat template, or like it none."""
    return str(read_header(path).metadata.get("tokenizer.chat_template", "")) == (template or "")


def as_dict(logits: LogitAgreement, tokens: TokenizerAgreement, template: bool) -> dict[str, Any]:
    """For JSON and manifests."""
    return {"logits": asdict(logits), "tokenizer": asdict(tokens), "chat_template_kept": template}


def _log(values: Any) -> Any:
    """Log-probabilities (rows, vocabulary)."""
    shifted = values - values.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
