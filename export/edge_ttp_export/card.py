"""The model card, written from the measurements: nothing in it that was not measured or chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_ttp.reward.config import RewardConfig
from edge_ttp_export.export_gates import Gate

_SOURCES = {
    "huffpost_headline": "News Category Dataset (R. Misra; HuffPost headlines and summaries), CC BY",
    "acl_title_first": "ACL Anthology (titles and abstracts), CC BY / CC BY-NC-SA",
    "amazon_review_title": "Amazon 5-core reviews (J. McAuley, 2014), no licence stated, research use",
    "wine_review": "winemag tasting notes, CC BY-NC-SA",
}


def model_card(config: RewardConfig, gates: Sequence[Gate], measured: Mapping[str, Any]) -> str:
    """The card as Markdown. `measured` is what `edge-ttp export reward evaluate --json` prints."""
    lines = [
        f"# {config.name}",
        "",
        "A probabilistic reward model: for one user's history, one input and N candidate answers it gives each one's",
        "expected agreement with what the user would have written (mean of ROUGE-1 and ROUGE-L F1), and variances.",
        "Written by `edge-ttp export reward onnx` from its own measurements.",
        "",
        *_shape(config),
        "",
        *_data(config),
        "",
        *_results(measured),
        "",
        *_calibration(measured),
        "",
        "## Export gates",
        "",
        "| gate | measured | limit |",
        "| --- | --- | --- |",
        *(f"| {gate.name} | {gate.value:.3g} | {'>=' if gate.at_least else '<='} {gate.limit:g} |" for gate in gates),
        "",
        "## Limits",
        "",
        "- The training data hold short English text only. Elsewhere the mean means little; distance from the training",
        "  data raises the epistemic variance, and beyond twice the signal's own, consensus chooses",
        "  (docs/answer.md). That catches long answers, hardly other languages, chat or programs.",
        "- The variance of a candidate is that of its difference from the pool's mean: noise the model has learned",
        "  (aleatoric) plus the uncertainty of its last layer (epistemic). The offset's own variance is given apart.",
        "- Utility is word overlap. It rewards saying what the user said, not saying it well.",
        "- Mean and variance describe agreement with past writing; they are no judgment of truth or harm.",
        "",
        "## Licence",
        "",
        "Weights: Apache-2.0. The encoder derives from all-MiniLM-L6-v2 (Apache-2.0). No text of the training data is",
        "included; the data sources named above keep their own terms.",
    ]
    return "\n".join(lines) + "\n"


def _shape(config: RewardConfig) -> list[str]:
    files = (config.encoder.graph, config.encoder.tokenizer, config.salience, config.heads)
    megabytes = sum(one.bytes for one in files) / 1e6
    return [
        "## What it is",
        "",
        f"- Encoder: all-MiniLM-L6-v2 cut to {config.encoder.layers} layers and distilled, weights in 8 bits,"
        " multiplied in whole numbers.",
        "- Salience: one more transformer layer over the input's token states and a vector for each wordpiece, in 8"
        " bits: which words does this input call for.",
        f"- Heads: FP32, {len(config.features)} features of candidate, pool, input and user beside the vectors;"
        f" last layer of {len(config.weights.mean)}.",
        f"- {megabytes:.1f} MB on disk; texts are cut to {config.encoder.max_tokens} tokens.",
    ]


def _data(config: RewardConfig) -> list[str]:
    made = config.made
    settings, pools = made["settings"], made["pools"]
    lines = [
        "## Training data",
        "",
        f"{pools['train']} pools of users in the train part,"
        f" {pools['tune']} pools of tune users for early stopping. Users are split by sha256(user_id) mod 10.",
        f"Loss {settings['loss']} (beta {settings['beta']}), seed {settings['seed']}.",
        "",
        "| task | source | pools | candidates | policy sha256 | pool file sha256 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for file in made["files"]:
        source = _SOURCES.get(file["task"], "not named")
        fingerprints = f"{file['model'][:12]} | {file['sha256'][:12]}"
        lines.append(f"| {file['task']} | {source} | {file['pools']} | {file['n']} | {fingerprints} |")
    return lines


def _results(measured: Mapping[str, Any]) -> list[str]:
    rows = measured["rows"]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    largest = max(row["n"] for row in rows)
    rules = list(dict.fromkeys(row["selector"] for row in rows))
    results = {(row["selector"], row["task"], row["n"]): row for row in rows}
    lines = [
        "## Results on report users",
        "",
        f"Share of headroom at N = {largest}: (chosen - pool mean) / (best - pool mean), a ratio of sums, with central"
        " 95% bootstrap intervals over users, or over queries where a task has fewer than 8 users.",
        "`sum` is the untrained sum of the z-scores of consensus, similarity to",
        "the input and similarity to the user's past outputs. `all` weighs the tasks by their users.",
        "",
        f"| rule | {' | '.join(tasks)} |",
        f"| --- |{' --- |' * len(tasks)}",
    ]
    lines += [f"| {rule} | {' | '.join(_cell(results[rule, task, largest]) for task in tasks)} |" for rule in rules]
    lines += ["", "Mean utility of what is chosen, all tasks:", ""]
    sizes = sorted({row["n"] for row in rows})
    lines += [f"| rule | {' | '.join(f'N = {size}' for size in sizes)} |", f"| --- |{' --- |' * len(sizes)}"]
    lines += [
        f"| {rule} | {' | '.join(format(results[rule, 'all', size]['utility'], '.4f') for size in sizes)} |"
        for rule in rules
    ]
    lines += [
        "",
        "Model minus untrained sum, difference of shares on the same users, p corrected for the number of comparisons:",
        "",
    ]
    for one in measured["paired"]:
        if one["n"] == largest and one["against"] == "sum":
            sure = f", p {one['p_holm']:.3f}" if "p_holm" in one else ""
            lines.append(f"- {one['task']}: {one['difference']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f}{sure})")
    shares = "; ".join(
        f"N = {size}: " + ", ".join(f"{row['selector']} {_cell(row)}" for row in measured["chrf"] if row["n"] == size)
        for size in sorted({row["n"] for row in measured["chrf"]})
    )
    shuffle = measured["shuffle"]
    lines += [
        "",
        f"Share of headroom in chrF, which training never saw. {shares}.",
        "",
        f"With another user's history of the same task the choice is worth {shuffle['utility_other']:.4f} instead of"
        f" {shuffle['utility_own']:.4f}: a loss of {shuffle['difference']:.4f} ({shuffle['low']:+.4f} to"
        f" {shuffle['high']:+.4f}, {shuffle['queries']} queries).",
    ]
    return lines


def _calibration(measured: Mapping[str, Any]) -> list[str]:
    found = measured["calibration"]
    tasks = ", ".join(f"{task} {one['coverage80']:.2f}" for task, one in found["tasks"].items())
    low, high = found["quintiles"]
    return [
        "## Calibration on report users",
        "",
        f"The central 80% interval covers {found['coverage80']:.1%} of the differences ({tasks}) and"
        f" {found['coverage80_total']:.1%} of the total utilities.",
        f"Mean log-likelihood above one constant variance fitted to the same errors: {found['noise_gain']:+.3f} per"
        " candidate.",
        f"Mean squared error in the lowest fifth by predicted variance {low:.5f}, in the highest {high:.5f}.",
    ]


def _cell(row: Mapping[str, Any]) -> str:
    if row["share"] is None:
        return "-"
    return f"{row['share']:.2f} ({row['share_low']:.2f} to {row['share_high']:.2f})"
