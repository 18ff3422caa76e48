"""A reward model from outside tried as the runtime uses it: loaded, a user described, pools of candidates scored.

Runs in a process of its own (edge_ttp.system.confined): onnxruntime and tokenizers can take all time and memory, or
end the process, over a file they did not expect.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_ttp.reward.model import RewardModel
from edge_ttp.schema import Candidate, HistoryItem

LONG = 4000
"""Characters of the longest texts: more than an encoder reads of one."""

TEXTS = (
    "",
    " ",
    "a",
    "The printer on the second floor works again, thanks to everybody who waited.",
    "Zażółć gęślą jaźń, 今日は, مرحبا, \U0001f600\u200d\ufeff\u0301\u0301",
    "\x00\x01\x7f\x80\uffff\r\n\t\u2028 [CLS] [SEP] <s> </s> <unk> [PAD]",
    "a" * LONG,
    "ab " * (LONG // 3),
    " " * LONG,
    "1234567890.,;:!?-_()[]{}\"'" * (LONG // 26),
    "\u0301" * LONG,
    "ﷺ" * (LONG // 18),  # one letter that normalizes to eighteen
    "".join(chr(code) for code in range(0x21, 0x21 + LONG)),
    "語" * LONG,
)
"""What is read: short, empty, endless, and every kind of letter."""

_EARLIER = 12
_CANDIDATES = 33


def trial(request: Mapping[str, Any]) -> dict[str, Any]:
    """Tries the reward model in the folder `path`.

    Raises ModelUnavailable where it does not load, fails to run, or computes what is no score.
    """
    model = RewardModel.load(Path(request["path"]), threads=1)
    history = [
        HistoryItem(user_id="me", input=TEXTS[index % len(TEXTS)], output=TEXTS[-1 - index % len(TEXTS)] or "a")
        for index in range(_EARLIER)
    ]
    nobody, somebody = model.profile(()), model.profile(history)
    pool = [
        Candidate(text=f"{text} {index}", tokens=1 + len(text) % 40, logprob=-float(index))
        for index, text in enumerate(_pool())
    ]
    scored = 0
    for profile in (nobody, somebody):
        for text in (TEXTS[3], TEXTS[6]):
            scored += len(model.score(profile, text, pool).mean)
    for text in TEXTS:
        scored += len(model.score(nobody, text, pool[:2]).mean)
    return {"scored": scored}


def _pool() -> list[str]:
    return [TEXTS[index % len(TEXTS)] for index in range(_CANDIDATES)]
