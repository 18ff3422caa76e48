"""The diagnosis of one user's own evidence, whole, as one JSON object: for programs that are not the command line."""

from __future__ import annotations

import json
from typing import Any

from edge_ttp.history import History
from edge_ttp.lab.diagnosis import json_report, judge
from edge_ttp.lab.diagnosis.evidence_worth import worth
from edge_ttp.lab.diagnosis.own_evidence import judgments, own, own_table
from edge_ttp.lab.diagnosis.verdict import own_limits, own_verdict
from edge_ttp.reward.model import RewardModel
from edge_ttp.reward.posterior import MAX_EVIDENCE


def own_report(history: History, reward: RewardModel, user: str, *, resamples: int, seed: int = 0) -> dict[str, Any]:
    """What `edge-ttp diagnose --user USER --json` prints. Unknown numbers are None."""
    evidence = own(history.sourced_evidence(user, reward.fingerprint, MAX_EVIDENCE), reward.stock)
    judged = judgments(history.iterate_generations(user), history.feedback_for(user))
    table, texts = own_table(user, evidence.pools)
    diagnosis = judge.judge(table, f"{user}'s own evidence", resamples=resamples, seed=seed)
    value = worth(evidence.record)
    said, unsaid = own_verdict(diagnosis, judged, value), own_limits(diagnosis, table, judged)
    report = {
        **json_report.as_object(diagnosis, table, texts, verdict=said, limits=unsaid),
        "own": json_report.own_object(judged, evidence.trust, value),
    }
    plain: dict[str, Any] = json.loads(json.dumps(report, default=str), parse_constant=lambda _: None)
    return plain
