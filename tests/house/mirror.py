"""Which modules have no test file at the mirrored place, and why. The lists only shrink: test_house.py holds them.

A new module comes with its tests.
"""

from __future__ import annotations

NOTHING_TO_TEST: dict[str, str] = {
    "__main__": "starts the command line: tests/cli/test_main.py",
    "budget.timed": "the form of two numbers and a constant",
    "exchange.mail_words": "lists of words: tests/exchange/test_mail_reply.py reads with them",
    "exchange.records": "forms of records alone",
    "policy.decoder": "a protocol and two exceptions",
    "system.freezing.hook-edge_ttp": "read by PyInstaller alone: make test-frozen",
    "system.freezing.hook-llama_cpp": "read by PyInstaller alone: make test-frozen",
}
"""Modules without behaviour of their own, and where what they hold is used."""

ROOMS_ELSEWHERE: dict[str, str] = {
    "adapters": "needs other people's clients: tests/clients",
    "app": "needs Qt and a screen: tests/window; what does not is in tests/app",
}
"""Rooms whose modules are tested in another environment."""

ELSEWHERE: dict[str, tuple[str, str]] = {
    "cli": (
        "bench bench_adapt bench_budget bench_company bench_pools bench_quality bench_recall bench_requests "
        "bench_engine bench_latency bench_racing bench_rewrite "
        "bench_overhead bench_rivals bench_temperature bench_trial bench_voice bench_window",
        "the words of measuring tools: tests/lab/bench and tests/cli/test_main.py",
    ),
    "lab.diagnosis": ("row_batches", "needs pyarrow, of the extra scale: tests/scale/test_many_rows.py"),
}
"""Modules whose behaviour shows only in something whole that is tested under a name of its own."""


def excused() -> set[str]:
    """All of them, dotted, without the package's name."""
    elsewhere = {f"{room}.{name}" for room, (names, _) in ELSEWHERE.items() for name in names.split()}
    return {*NOTHING_TO_TEST, *elsewhere}
