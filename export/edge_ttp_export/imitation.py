"""Made-up pools: candidates without a policy, so that the network sees many more users and texts than were sampled.

Candidates are pieces of the input, what others wrote for similar inputs, what the user wrote later, random outputs, and
the true output with words lost or replaced. Only users of the train part, and never a later item in the history.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from edge_ttp_export.examples import Pool, Task
from edge_ttp_export.pools import MIN_HISTORY
from edge_ttp_export.split import part_of
from edge_ttp_export.texts import Item

_LOGPROB_PER_TOKEN = -2.5  # the same for all: nothing can be learned from it here


def imitate(task: Task, count: int, seed: int, report: Callable[[str], None]) -> list[Pool]:
    """`count` made-up pools of 12 candidates for queries of train users, drawn without replacement."""
    source = random.Random(seed)
    train = {user: items for user, items in task.users.items() if part_of(user) == "train"}
    queries = [(user, place) for user, items in train.items() for place in range(MIN_HISTORY, len(items))]
    source.shuffle(queries)
    everybody = [item for items in train.values() for item in items]
    sample = source.sample(everybody, min(len(everybody), 1500))
    vectors = task.encoder.encode([item.input for item in sample])
    pools = []
    for done, (user, place) in enumerate(queries[:count], 1):
        item = train[user][place]
        closeness = vectors @ task.encoder.encode([item.input])[0]
        near = [sample[int(index)] for index in np.argsort(-closeness)[:8] if sample[int(index)].user_id != user]
        texts = _candidates(item, near, train[user][place + 1 :], sample, source)
        drawn = [(text, len(text.split()) + 1, _LOGPROB_PER_TOKEN * (len(text.split()) + 1)) for text in texts]
        pools.append(task.pool(user, place, drawn))
        if done % 250 == 0:
            report(f"{task.name}: {done} of {count} made-up pools")
    return pools


def _candidates(
    item: Item, near: list[Item], later: list[Item], sample: list[Item], source: random.Random
) -> list[str]:
    words, target = item.input.split(), max(2, len(item.output.split()))
    texts = []
    for _ in range(4):
        length = max(2, round(target * source.uniform(0.5, 1.6)))
        start = source.randrange(max(1, len(words) - length))
        texts.append(" ".join(words[start : start + length]))
    texts += [one.output for one in near[:3]]
    texts += [one.output for one in source.sample(later, min(2, len(later)))]
    for kept in (0.3, 0.6):
        other = source.choice(sample).output.split()
        texts.append(
            " ".join(
                word if source.random() < kept else source.choice(other)
                for word in item.output.split()
                if source.random() < 0.85
            )
        )
    texts += [one.output for one in source.sample(sample, 12 - len(texts))]
    source.shuffle(texts)
    return texts
