from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_ttp.history import History, Recalled, recall
from edge_ttp.history.recall import informative
from edge_ttp.history.terms import words
from edge_ttp.schema import HistoryItem

from .conftest import START, new_item

VOCABULARY = [
    *("train", "river", "bread", "letter", "stone", "winter"),
    *("market", "garden", "silver", "engine", "paper", "cloud"),
]


def textbook_bm25(query: str, texts: list[str]) -> list[float]:
    """The formula in docs/history.md, written as plainly as possible."""
    k1, b = 1.2, 0.75
    documents = [Counter(words(text)) for text in texts]
    lengths = [sum(document.values()) for document in documents]
    mean = sum(lengths) / len(lengths)
    scores = []
    for document, length in zip(documents, lengths, strict=True):
        score = 0.0
        for term, times in Counter(words(query)).items():
            held = sum(term in other for other in documents)
            idf = math.log(1 + (len(texts) - held + 0.5) / (held + 0.5))
            score += times * idf * document[term] * (k1 + 1) / (document[term] + k1 * (1 - b + b * length / mean))
        scores.append(score)
    return scores


def sentence(rng: random.Random, most: int = 12) -> str:
    return " ".join(rng.choices(VOCABULARY, range(len(VOCABULARY), 0, -1), k=rng.randint(1, most)))


def ranked(found: list[Recalled]) -> list[tuple[str, float]]:
    return [(each.item.output, each.score) for each in found]


def test_scores_are_those_of_the_textbook_formula(history: History) -> None:
    rng = random.Random(3)
    texts = list(dict.fromkeys(sentence(rng) for _ in range(200)))
    history.add_many(new_item(text, day=day) for day, text in enumerate(texts))
    for query in (sentence(rng) for _ in range(20)):
        expected = dict(zip(texts, textbook_bm25(query, texts), strict=True))
        found = history.recall("ann", query, 10)
        assert [each.score for each in found] == pytest.approx(sorted(expected.values(), reverse=True)[:10], rel=1e-12)
        for each in found:
            assert each.score == pytest.approx(expected[each.item.output], rel=1e-12)


def test_input_and_output_are_both_matched(history: History) -> None:
    history.add(new_item("about rivers", given="write a poem"))
    history.add(new_item("nothing else", given="about trains"))
    assert history.recall("ann", "river", 1)[0].item.output == "about rivers"
    assert history.recall("ann", "train", 1)[0].item.output == "nothing else"


def test_thousand_texts_of_another_user_change_no_score_at_all(history: History) -> None:
    rng = random.Random(5)
    history.add_many(new_item(sentence(rng), day=day) for day in range(60))
    queries = [sentence(rng) for _ in range(30)]
    before = [history.recall("ann", query, 20) for query in queries]
    history.add_many(new_item(sentence(rng, 40), user="bob", day=day) for day in range(1000))
    assert [history.recall("ann", query, 20) for query in queries] == before


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    mine=st.lists(st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=6).map(" ".join), min_size=1, max_size=12),
    others=st.lists(st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=9).map(" ".join), max_size=12),
    query=st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=6).map(" ".join),
)
def test_a_shared_file_ranks_like_a_file_of_ones_own(
    tmp_path_factory: pytest.TempPathFactory, mine: list[str], others: list[str], query: str
) -> None:
    folder = tmp_path_factory.mktemp("pair")
    with History.open(folder / "alone.db") as alone, History.open(folder / "shared.db") as shared:
        for place in range(max(len(mine), len(others))):
            for text in mine[place : place + 1]:
                alone.add(new_item(text, day=place))
                shared.add(new_item(text, day=place))
            for text in others[place : place + 1]:
                shared.add(new_item(text, user="bob", day=place))
        assert ranked(alone.recall("ann", query, 5)) == ranked(shared.recall("ann", query, 5))


def test_before_gives_what_a_history_ending_there_would_give(path: Path) -> None:
    rng = random.Random(9)
    items = [new_item(sentence(rng), day=day) for day in range(80)]
    queries = [sentence(rng) for _ in range(10)]
    with History.open(path) as whole, History.open(path.with_name("part.db")) as part:
        whole.add_many(items)
        part.add_many(items[:40])
        for query in queries:
            early = whole.recall("ann", query, 8, before=START + timedelta(days=40))
            assert ranked(early) == ranked(part.recall("ann", query, 8))
            assert ranked(early) != ranked(whole.recall("ann", query, 8))
        assert whole.recall("ann", queries[0], 8, before=START) == []


def test_before_is_strict(history: History) -> None:
    history.add(new_item("a train", day=3))
    assert history.recall("ann", "train", 1, before=START + timedelta(days=3)) == []
    assert len(history.recall("ann", "train", 1, before=START + timedelta(days=3, milliseconds=1))) == 1


def test_the_newest_fill_up_with_score_zero(history: History) -> None:
    history.add_many([new_item("a train", day=1), new_item("rain", day=2), new_item("snow", day=3)])
    found = history.recall("ann", "trains", 3)
    assert [each.item.output for each in found] == ["a train", "snow", "rain"]
    assert found[0].score > 0
    assert [each.score for each in found[1:]] == [0, 0]


def test_equal_scores_come_newest_first(history: History) -> None:
    history.add_many(new_item("the same train", given=f"{day} x", day=day) for day in (5, 9, 7))
    assert [each.item.created_at.day for each in history.recall("ann", "train", 3)] == [10, 8, 6]


def test_kind_and_exclude_restrict_what_is_returned(history: History) -> None:
    history.add_many(new_item(f"train {day}", day=day, kind="email" if day % 2 else "note") for day in range(10))
    found = history.recall("ann", "train", 5, kind="email", exclude=[2, 4])
    assert [each.item.id for each in found] == [10, 8, 6]
    assert history.recall("ann", "train", 5, kind="poem") == []


def test_a_rare_kind_is_found_among_many_better_matches(history: History) -> None:
    history.add_many(new_item("train", given=f"{number}", day=1) for number in range(600))
    history.add(new_item("a long and winding way to say train " * 3, kind="poem"))
    assert [each.item.kind for each in history.recall("ann", "train", 3, kind="poem")] == ["poem"]


@pytest.mark.parametrize(
    "query",
    [
        '"',
        "train OR (",
        "NEAR(train river) * ^",
        "input:train -river AND NOT",
        "train\0river",
        "😀🔥",
        "…!?*",
        "",
        "'; DROP TABLE items; --",
        "\ud800 train",
        "{a b} : \\ [x]",
        "train " * 20_000,
        "x" * 100_000,
        " ".join(f"w{number}" for number in range(15_000)),
    ],
)
def test_no_query_is_an_error(history: History, query: str) -> None:
    history.add_many([new_item("a train by the river"), new_item("rain")])
    assert len(history.recall("ann", query, 2)) == 2
    history.search("ann", query)


def test_unknown_users_recall_nothing(history: History) -> None:
    history.add(new_item("train"))
    assert history.recall("bob", "train", 3) == []
    assert history.recall("a' OR 1", "train", 3) == []


def test_no_or_negative_k_recalls_nothing(history: History) -> None:
    history.add(new_item("train"))
    assert history.recall("ann", "train", 0) == []
    assert history.recall("ann", "train", -1) == []


def test_the_rarest_terms_rank() -> None:
    assert informative({"the": 9_000, "train": 3, "river": 5}) == ["train", "river"]
    assert informative({"the": 90_000}) == ["the"]
    assert informative({f"w{number}": 1 for number in range(100)}) == sorted(f"w{number}" for number in range(100))[:64]
    assert informative({}) == []


def test_long_items_are_measured_up_to_the_limit(history: History) -> None:
    stored = history.add(new_item("train " * 5_000))
    history.add(new_item("train and river"))
    assert history.recall("ann", "train", 2)[0].score > 0
    assert {each.item.id for each in history.recall("ann", "train", 2)} == {stored.id, 2}


def test_recall_sees_an_item_as_soon_as_it_is_added(history: History, make_item: Callable[..., HistoryItem]) -> None:
    for number in range(5):
        stored = history.add(make_item(f"unique{number}"))
        assert history.recall("ann", f"unique{number}", 1)[0].item == stored


def test_a_deleted_item_leaves_the_index_and_the_counts(history: History) -> None:
    stored = history.add(new_item("a train"))
    history.add(new_item("rain"))
    with history._connections.writing() as db:
        db.execute("DELETE FROM items WHERE id = ?", (stored.id,))
    assert [each.item.output for each in history.recall("ann", "train", 5)] == ["rain"]
    assert history.count("ann") == 1
    assert history.health(full=True).sound


def test_index_terms_of_two_users_never_meet() -> None:
    assert recall.index_term(0x1F, "cat") == "1f_cat"
    assert recall.index_term(1, "fcat") == "1_fcat"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(min_size=1).filter(lambda text: text.strip() and text.isprintable()))
def test_the_index_holds_exactly_the_words_of_the_text(history: History, text: str) -> None:
    user = f"user of {text[:100]}"
    stored = history.add(new_item(text, user=user))
    assert stored.id is not None
    query = "SELECT term FROM item_terms WHERE doc >> 12 = ? ORDER BY offset"
    with history._connections.reading() as db:
        held = [row[0].split("_", 1)[1] for row in db.execute(query, (stored.id,))]
    assert held == words(text)


def test_a_long_history_is_ranked_by_the_terms_that_fit_the_budget(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(13)
    history.add_many(new_item(f"{sentence(rng)} {day}", day=day) for day in range(300))
    everything = history.recall("ann", "train cloud", 5)
    monkeypatch.setattr(recall, "MAX_OCCURRENCES", 100)
    rare_only = history.recall("ann", "train cloud", 5)
    assert ranked(rare_only) == ranked(history.recall("ann", "cloud", 5))
    assert ranked(rare_only) != ranked(everything)
    later = START + timedelta(days=400)
    assert ranked(history.recall("ann", "train cloud", 5, before=later)) == ranked(rare_only)
