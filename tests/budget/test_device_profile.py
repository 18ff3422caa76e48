"""A device's profile: what it predicts, how it follows the machine, and the file it is kept in."""

from __future__ import annotations

import errno
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_ttp.budget.cost import KNOTS, Speed
from edge_ttp.budget.device_profile import Call, Profile, Profiles

ONE = Speed(0.01, 0.004, 1e-7, tuple(0.03 + 0.006 * rows for rows in KNOTS), 1e-6)
TWO = ONE.scaled(0.6)
PROFILE = Profile({1: ONE, 2: TWO}, {1: ONE, 2: TWO}, load_s=1.5, sequence_bytes=123)


def call(factor: float = 1.0, threads: int = 2, profile: Profile = PROFILE, **changes: object) -> Call:
    """A request that took `factor` times what `profile` says of so many threads."""
    speed = profile.measured[threads]
    rows = (8,) * 20
    values = {
        "prefill_threads": threads,
        "decode_threads": threads,
        "prompt_tokens": 400,
        "cached_tokens": 0,
        "prefill_s": factor * speed.prefill_s(400),
        "rows": rows,
        "decode_s": factor * float(speed.rows_s(np.array(rows, float)).sum() + 160 * 480 * speed.cell_s),
        "tokens": (21,) * 8,
        "cut": (False,) * 8,
        "usual": 40,
        "scored": 8,
        "waves": 1,
        "score_s": factor * float(profile.score_s(8)),
        "before_s": 0.02,
        "after_s": factor * profile.after_s,
        **changes,
    }
    return Call(**values)  # type: ignore[arg-type]


def test_the_fastest_number_of_threads_among_the_free_cores_is_taken() -> None:
    assert PROFILE.threads(1) == (1, 1)
    assert PROFILE.threads(2) == PROFILE.threads(8) == (2, 2)
    spinning = replace(PROFILE, speeds={1: ONE, 2: replace(TWO, step_s=ONE.scaled(2).step_s)})
    assert spinning.threads(2) == (2, 1)


def test_a_number_of_threads_that_never_ran_is_estimated_between_the_others() -> None:
    four = Profile({4: TWO}, {4: TWO})
    assert TWO.token_s < four.speed(2).token_s < 2 * TWO.token_s
    assert four.threads(2) == (2, 2)


def test_more_candidates_take_more_time_and_waves_more_than_one_batch() -> None:
    at_once = PROFILE.draw_s(64, prompt=400, longest=30, free=2)
    assert at_once.shape == (64,)
    assert (np.diff(at_once) > 0).all()
    in_waves = PROFILE.draw_s(64, prompt=400, longest=30, free=2, width=8)
    assert in_waves[:8] == pytest.approx(at_once[:8])
    assert in_waves[63] > at_once[63]
    assert PROFILE.draw_s(1, prompt=400, longest=30, free=2).shape == (1,)


def test_a_busy_core_makes_the_prediction_the_one_of_fewer_threads() -> None:
    assert PROFILE.prefill_s(400, 0, 1) == pytest.approx(ONE.prefill_s(400))
    assert PROFILE.prefill_s(400, 0, 2) == pytest.approx(TWO.prefill_s(400))
    assert PROFILE.prefill_s(400, 256, 2) < PROFILE.prefill_s(400, 0, 2)


def test_a_throttled_profile_corrects_itself_and_back_again() -> None:
    profile = PROFILE
    for factor in (3.0, 1.0):
        for _ in range(6):
            profile = profile.after(call(factor))
        assert profile.speeds[2].prefill_s(400) == pytest.approx(factor * TWO.prefill_s(400), rel=0.15)
        assert profile.reserve_s(8) > 0
    assert profile.measured == PROFILE.measured


def test_threads_that_are_not_used_go_back_to_what_was_measured() -> None:
    slow = replace(PROFILE, speeds={1: ONE, 2: TWO.scaled(5)})
    for _ in range(30):
        slow = slow.after(call(threads=1))
    assert slow.threads(2) == (2, 2)


def test_a_prompt_that_was_in_the_cache_says_nothing_of_reading() -> None:
    after = PROFILE.after(call(cached_tokens=399, prefill_s=5.0))
    assert after.speeds[2].token_s == TWO.token_s


def test_a_call_without_scores_or_steps_keeps_their_costs() -> None:
    after = PROFILE.after(call(scored=0, waves=0, score_s=0.0, rows=(), tokens=(1,), cut=(False,)))
    assert after.score_parts == PROFILE.score_parts
    assert after.speeds[2].step_s == TWO.step_s
    assert after.calls == 1


def test_more_is_kept_back_where_the_time_after_drawing_varies() -> None:
    steady, restless = PROFILE, PROFILE
    for turn in range(12):
        steady = steady.after(call())
        restless = restless.after(call(after_s=0.2 if turn % 2 else 0.01))
    assert restless.reserve_s(8) > steady.reserve_s(8)
    assert steady.reserve_s(8, scored=False) < steady.reserve_s(8)


# The file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "device.json"


def test_a_profile_is_the_same_after_it_was_stored(file: Path) -> None:
    profile = PROFILE.after(call(1.3))
    Profiles(file).save("model-a", profile)
    assert Profiles(file).load("model-a") == profile
    assert Profiles(file).load("model-b") is None
    assert Profiles(file).keys() == ["model-a"]


def test_a_full_disk_leaves_the_file_as_it_was_and_nothing_beside_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*given: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    Profiles(file).save("model", PROFILE)
    monkeypatch.setattr(json, "dump", no_space)
    with pytest.raises(OSError, match="No space"):
        Profiles(file).save("other", PROFILE)
    assert Profiles(file).keys() == ["model"]
    assert [path.name for path in file.parent.iterdir()] == ["device.json"]


def test_the_file_is_for_its_owner_alone_and_nothing_is_left_beside_it(file: Path) -> None:
    Profiles(file).save("model", PROFILE)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["device.json"]


def changed(**values: object) -> dict[str, object]:
    return PROFILE.as_dict() | values


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"model": 3}',
        b'{"model": {}}',
        b"[" * 100_000,
        *(
            json.dumps({"model": values}).encode()
            for values in (
                changed(speeds={}),
                changed(speeds={"0": ONE.parts()}),
                changed(speeds={"2": [1.0]}),
                changed(speeds={"2": [-1.0] * 11}),
                changed(lengths=[1.0]),
                changed(lengths=[1.0] * 18),
                changed(score=["a", 1]),
                changed(before_s=None),
                changed(after_s=float("inf")),
                changed(calls="many"),
            )
        ),
    ],
)
def test_a_damaged_file_counts_as_nothing_measured_and_is_written_anew(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    profiles = Profiles(file)
    assert profiles.load("model") is None
    profiles.save("model", PROFILE)
    assert profiles.load("model") == PROFILE


def test_threads_that_save_at_once_leave_a_whole_file(file: Path) -> None:
    profiles = Profiles(file)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda index: profiles.save(f"model-{index % 4}", PROFILE), range(40)))
    assert profiles.load(profiles.keys()[0]) == PROFILE
    assert [path.name for path in file.parent.iterdir()] == ["device.json"]
