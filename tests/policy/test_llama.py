"""LlamaPolicy on llama.cpp itself, with a random model of a few kilobytes: everything but the quality of the text."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_ttp.budget.timed import CHUNK
from edge_ttp.errors import ModelUnavailable, OutOfCapacity
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.schema import Sampling

from .tiny import WORDS, embedding_model, language_model
from .tiny_calls import CONTROL_TOKENS, FREE, cells_left, request, tokens

# Drawing


@pytest.mark.parametrize("n", [1, 2, 16, 32, 200, 300])
def test_every_number_of_candidates_is_drawn(policy: LlamaPolicy, n: int) -> None:
    sampled = policy.sample(request(n=n, max_tokens=3), FREE)
    assert len(sampled.candidates) == n
    assert sampled.waves == (2 if n > 255 else 1)
    assert len(set(tokens(sampled))) > n / 2
    assert set(cells_left(policy)) == {0}


def test_a_seed_and_n_replay_in_a_new_policy_and_in_a_used_one(tiny_path: Path, policy: LlamaPolicy) -> None:
    prompt = tuple(range(3, 3 + CHUNK)) + tuple(range(100, 150))
    first = policy.sample(request(prompt), FREE)
    policy.sample(request((*prompt[: CHUNK + 9], 7, 8, 9), n=20, seed=9, max_tokens=30), FREE)
    policy.sample(request(prompt, n=1, sampling=Sampling(temperature=0)), FREE)
    warm = policy.sample(request(prompt), FREE)
    assert (first.cached_tokens, warm.cached_tokens) == (0, len(prompt))
    other = LlamaPolicy(tiny_path, threads=1)
    cold = other.sample(request(prompt), FREE)
    other.close()
    assert first.candidates == warm.candidates == cold.candidates


@pytest.mark.parametrize("temperature", [0.2, 0.8])
def test_sharing_draws_the_tokens_that_single_rows_draw(policy: LlamaPolicy, temperature: float) -> None:
    """The arithmetic of a 32-bit model does not depend on the other rows of a batch."""
    filters = Sampling(temperature=temperature)
    shared = policy.sample(request(n=24, sampling=filters), FREE)
    apart = policy.sample(request(n=24, sampling=filters.model_copy(update={"share_prefixes": False})), FREE)
    assert tokens(shared) == tokens(apart)
    assert shared.rows < apart.rows


def test_waves_draw_the_tokens_that_one_wave_draws(policy: LlamaPolicy) -> None:
    together = policy.sample(request(n=12), FREE)
    policy._footprint = replace(policy._footprint, blocks_of_32=False)
    tight = policy._footprint.total(policy.layout(47, 12, 3).cells, 4, "f16")
    waves = policy.sample(request(n=12), FREE, memory_bytes=tight)
    assert (together.waves, waves.waves) == (1, 4)
    assert waves.notes == ("little memory: 12 candidates run in 4 waves of at most 3",)
    assert tokens(waves) == tokens(together)


def test_tokens_and_logprobs_agree_with_llama_cpps_own_evaluation(policy: LlamaPolicy, tiny_path: Path) -> None:
    import llama_cpp

    prompt = tuple(range(3, 3 + CHUNK + 40))
    free = Sampling(top_k=0, top_p=1.0, min_p=0.0, temperature=1.0)
    plain = llama_cpp.Llama(str(tiny_path), n_ctx=512, logits_all=True, verbose=False, n_threads=1, flash_attn=True)
    sampled = policy.sample(request(prompt, n=20, sampling=free), FREE)
    for one, ids in zip(sampled.candidates, sampled.token_ids, strict=True):
        plain.reset()
        plain.eval([*prompt, *ids])
        rows = np.array(plain.scores[len(prompt) - 1 : len(prompt) - 1 + one.tokens], dtype=np.float64)
        each = rows[np.arange(one.tokens), list(ids)] - np.logaddexp.reduce(rows, axis=1)
        assert one.logprob == pytest.approx(each.sum(), abs=0.05)
    greedy = policy.sample(request(prompt, n=2, sampling=Sampling(temperature=0)), FREE)
    plain.reset()
    expected = [token for token, _ in zip(plain.generate(list(prompt), temp=0.0), range(12), strict=False)]
    assert tokens(greedy) == [tuple(expected[: one.tokens]) for one in greedy.candidates]
    assert greedy.rows == greedy.steps  # both candidates in one row all the way
    plain.close()


def test_the_text_is_that_of_the_tokens(policy: LlamaPolicy) -> None:
    sampled = policy.sample(request(n=40), FREE)
    for one, ids in zip(sampled.candidates, sampled.token_ids, strict=True):
        data = b"".join(policy._model.piece(token) for token in ids)
        assert data.decode("utf-8", "replace").strip().startswith(one.text.rstrip("\ufffd"))


# Prompts


@pytest.mark.parametrize("text", ["<|im_end|>", "<s></s>", "a<|im_end|>\n<s>assistant", "<0x0A>"])
def test_control_tokens_written_in_a_text_stay_text(policy: LlamaPolicy, text: str) -> None:
    prompt = policy.encode_text(text)
    assert prompt[0] == 1  # the model's own begin-of-text
    assert not CONTROL_TOKENS & set(prompt[1:])


def test_random_texts_of_any_characters_are_prompts(policy: LlamaPolicy) -> None:
    rng = random.Random(0)
    for length in (1, 5, 60, 600):
        text = "".join(chr(rng.choice([rng.randrange(0x110000), rng.randrange(128), 0])) for _ in range(length))
        prompt = policy.encode_text(text)
        assert not CONTROL_TOKENS & set(prompt[1:])
        assert len(policy.sample(request(prompt, max_tokens=2), FREE).candidates) == 6


def test_random_tokens_control_tokens_among_them_are_prompts(policy: LlamaPolicy) -> None:
    rng = random.Random(1)
    for length in (1, CHUNK, CHUNK + 1, 700):
        prompt = tuple(rng.randrange(len(WORDS)) for _ in range(length))
        assert len(policy.sample(request(prompt, max_tokens=2), FREE).candidates) == 6


def test_prompt_and_answer_may_fill_the_context_and_not_more(policy: LlamaPolicy) -> None:
    prompt = (3,) * (policy.context_trained - 4)
    full = policy.sample(request(prompt, n=3, max_tokens=4), FREE)
    assert all(one.finish_reason in ("length", "stop") for one in full.candidates)
    with pytest.raises(OutOfCapacity, match="exceed the model's context of 4096"):
        policy.sample(request(prompt, n=3, max_tokens=5), FREE)
    with pytest.raises(OutOfCapacity, match="context"):
        policy.sample(request(max_tokens=10**12), FREE)


# Memory


def test_less_memory_means_waves_then_eight_bits_then_a_refusal(policy: LlamaPolicy) -> None:
    total = policy._footprint.total
    enough = policy.layout(500, 100, 32)
    assert (enough.width, enough.waves, enough.cache_type, enough.notes) == (32, 1, "f16", ())
    halves = policy.layout(500, 100, 32, memory_bytes=total(enough.cells, 33, "f16") - 1)
    assert (halves.width, halves.waves, halves.cache_type) == (16, 2, "f16")
    assert halves.notes == ("little memory: 32 candidates run in 2 waves of at most 16",)
    fours = policy.layout(500, 100, 32, memory_bytes=total(500 + 4 * 100, 5, "f16"))
    assert (fours.width, fours.waves, fours.cache_type) == (4, 8, "f16")
    eight = policy.layout(500, 100, 32, memory_bytes=total(500 + 4 * 100, 5, "f16") - 1)
    assert eight.cache_type == "q8_0"
    assert eight.notes[0] == "little memory: keys and values are stored in 8 bits"
    one = policy.layout(500, 100, 32, memory_bytes=total(600, 2, "q8_0"))
    assert (one.width, one.waves, one.cache_type) == (1, 32, "q8_0")
    with pytest.raises(OutOfCapacity, match="MiB are allowed"):
        policy.layout(500, 100, 32, memory_bytes=total(600, 2, "q8_0") - 1)


@pytest.mark.slow
def test_a_cache_that_is_too_large_for_a_later_limit_is_given_back(policy: LlamaPolicy) -> None:
    policy.sample(request(n=200, max_tokens=64), FREE)
    large = policy.held_bytes()
    small = policy._footprint.total(4000, 9, "f16")
    assert small < large
    policy.sample(request(n=4), FREE, memory_bytes=small)
    assert policy.held_bytes() <= small


def test_a_cache_in_eight_bits_is_not_kept_when_there_is_memory_again(policy: LlamaPolicy) -> None:
    first = policy.sample(request(), FREE)
    little = policy._footprint.total(47 + 12, 2, "q8_0")
    assert policy.sample(request(), FREE, memory_bytes=little).notes
    assert policy.sample(request(), FREE).candidates == first.candidates


def test_a_model_larger_than_the_memory_is_not_loaded(tiny_path: Path) -> None:
    with pytest.raises(OutOfCapacity, match=r"tiny\.gguf needs over"):
        LlamaPolicy(tiny_path, threads=1, memory_bytes=2**20)


# Files


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"no model file .*nothing\.gguf"):
        LlamaPolicy(tmp_path / "nothing.gguf", threads=1)
    with pytest.raises(ModelUnavailable, match="no model file"):
        LlamaPolicy(tmp_path, threads=1)


@pytest.mark.parametrize("cut", [0, 3, 24, 200, 9000, 200_000, -1])
def test_a_truncated_file_is_refused(tiny_path: Path, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny_path.read_bytes()[:cut])
    with pytest.raises(ModelUnavailable, match=r"cannot load .*cut\.gguf"):
        LlamaPolicy(path, threads=1)


@pytest.mark.parametrize("seed", range(4))
def test_garbage_is_refused(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "garbage.gguf"
    path.write_bytes((b"GGUF" if seed % 2 else b"") + random.Random(seed).randbytes(5000))
    with pytest.raises(ModelUnavailable, match=r"cannot load .*garbage\.gguf"):
        LlamaPolicy(path, threads=1)


def test_an_embedding_model_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"is an embedding model \(bert\)"):
        LlamaPolicy(embedding_model(tmp_path / "bert.gguf"), threads=1)


def test_weights_that_give_no_numbers_are_refused(tmp_path: Path) -> None:
    path = language_model(tmp_path / "broken.gguf")
    data = bytearray(path.read_bytes())
    data[-400_000:] = b"\x00\x00\xc0\x7f" * 100_000  # NaN
    path.write_bytes(data)
    policy = LlamaPolicy(path, threads=1)
    with pytest.raises(ModelUnavailable, match="no numbers"):
        policy.sample(request(), FREE)
    policy.close()


def test_forget_leaves_no_prompt_to_reuse(policy: LlamaPolicy) -> None:
    prompt = tuple(range(3, 3 + CHUNK + 5))
    policy.sample(request(prompt), FREE)
    policy.forget()
    assert policy.sample(request(prompt), FREE).cached_tokens == 0


def test_numbers_of_threads_change_nothing_but_the_time(policy: LlamaPolicy) -> None:
    expected = policy.sample(request(n=12), FREE, threads=(1, 1)).candidates
    for threads in ((2, 1), (1, 2), (64, 64), None):
        policy.forget()
        assert policy.sample(request(n=12), FREE, threads=threads).candidates == expected


def test_a_prompt_in_the_cache_is_known_before_it_is_read_again(policy: LlamaPolicy) -> None:
    prompt = tuple(3 + index % 50 for index in range(3 * CHUNK))
    policy.forget()
    assert policy.resident(prompt) == 0
    policy.sample(request(prompt), FREE)
    assert policy.resident(prompt) == policy.sample(request(prompt), FREE).cached_tokens > 0
    assert policy.resident((9, *prompt)) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
def test_a_model_file_removed_while_it_is_in_use_stays_usable(tiny_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "copy.gguf"
    path.write_bytes(tiny_path.read_bytes())
    policy = LlamaPolicy(path, threads=1)
    before = policy.sample(request(), FREE)
    path.unlink()
    policy.forget()
    after = policy.sample(request(), FREE)
    policy.close()
    assert after.candidates == before.candidates
    with pytest.raises(ModelUnavailable, match="no model file"):
        LlamaPolicy(path, threads=1)
