"""States in memory: found by their owner alone, the least recently used go first."""

from __future__ import annotations

import numpy as np

from edge_ttp.policy.prefixes import Prefix, Prefixes, ReadWith

PLAIN = ReadWith()


def prefix(*tokens: int, owner: str = "ada", size: int = 1000, known: bool = False, adapter: str = "") -> Prefix:
    read_with = ReadWith(((adapter, 1.0),)) if adapter else PLAIN
    after = np.ones(2, dtype=np.float32) if known else None
    return Prefix(owner, read_with, np.array(tokens, dtype=np.int32), np.ones(size, dtype=np.uint8), after)


def test_the_longest_beginning_of_the_same_user_and_adapters_is_found() -> None:
    kept = Prefixes()
    for one in (prefix(1, 2, 3), prefix(1, 9), prefix(1, 2, 3, 4, owner="bob"), prefix(1, 2, 3, 4, adapter="x")):
        kept.put(one, most=10_000)
    found, shared = kept.find("ada", PLAIN, (1, 2, 3, 4))
    assert found is not None
    assert (found.tokens.tolist(), shared) == ([1, 2, 3], 3)
    assert kept.find("eve", PLAIN, (1, 2, 3, 4)) == (None, 0)
    assert kept.find("ada", PLAIN, (7,)) == (None, 0)


def test_of_two_that_share_as_much_the_one_that_knows_what_comes_after_is_found() -> None:
    kept = Prefixes()
    kept.put(prefix(1, 2, known=True), most=10_000)
    kept.put(prefix(1, 2, 5), most=10_000)
    found, _ = kept.find("ada", PLAIN, (1, 2))
    assert found is not None
    assert found.after is not None
    assert kept.holds("ada", PLAIN, (1, 2))
    assert not kept.holds("ada", PLAIN, (1, 2, 5))


def test_the_least_recently_used_go_first_and_those_that_are_covered() -> None:
    kept = Prefixes()
    first, second, third = prefix(1, 2), prefix(3, 4), prefix(5, 6)
    for one in (first, second):
        kept.put(one, most=2100)
    kept.used(first)
    kept.put(third, most=2100)
    assert [kept.find("ada", PLAIN, one.tokens.tolist())[1] for one in (first, second, third)] == [2, 0, 2]
    kept.put(prefix(1, 2, 3), most=2100)
    assert len(kept) == 2
    kept.put(prefix(1, 2), most=2100)  # nothing new
    assert kept.find("ada", PLAIN, (1, 2, 3))[1] == 3
    kept.put(prefix(8, size=5000), most=2100)  # larger than all may be
    assert kept.find("ada", PLAIN, (8,)) == (None, 0)
    kept.shrink(0)
    assert (len(kept), kept.size) == (0, 0)


def test_forgetting_a_user_overwrites_what_was_theirs() -> None:
    kept = Prefixes()
    mine, other = prefix(1, 2, known=True), prefix(1, 2, owner="bob")
    kept.put(mine, most=10_000)
    kept.put(other, most=10_000)
    kept.forget("ada")
    assert not mine.state.any()
    assert not mine.tokens.any()
    assert mine.after is not None
    assert not mine.after.any()
    assert other.state.all()
    assert kept.find("bob", PLAIN, (1, 2))[1] == 2
    kept.forget()
    assert not other.state.any()
