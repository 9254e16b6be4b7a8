"""Made-up runs of transfer scoring, with cards and evaluations of invented predictions."""

from __future__ import annotations

import json
from itertools import count

import numpy as np
import yaml

from speechkit.base.tables import write_json
from speechkit.kaldi import data
from speechkit.scoring import metrics, results
from speechkit.scoring.data import ScoringSet

SCALE = (0.0, 10.0)
PLAIN = {
    "set_name": "sc", "target": "total", "input": "deep", "features": "small",
    "model": "attention", "pretrain": "none", "pretrain_set": "", "synthetic": "",
    "finetune": "frozen", "init": "", "labelled": 0, "epochs": 30,
}  # fmt: skip
_names = count()


def make_set(root, name, utterances=60, speakers=6, prepared="speechocean762", seed=0):
    """``data/<name>`` as far as the report reads it; returns what was scored (labels 0 to 1)."""
    draw = np.random.default_rng(seed)
    folder = root / "data" / name
    folder.mkdir(parents=True, exist_ok=True)
    ids = sorted(f"s{u % speakers}-u{u:04d}" for u in range(utterances))
    who = {u: u.partition("-")[0] for u in ids}
    data.write(folder, dict.fromkeys(ids, "a.wav"), who)
    data.write_table(folder / "text", dict.fromkeys(ids, "WE CALL IT <B>BEAR</B>"))
    manifest = {"command": f"prepare {prepared}", "params": {}, "counts": {"utterances": len(ids)},
                "finished": "2026-01-01", "seconds": 1.0}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    sizes = draw.integers(3, 30, utterances)
    first = np.append(0, np.cumsum(sizes))
    labels = np.clip(np.rint(draw.normal(6.8, 1.7, utterances)), 1, 10) / 10
    found = ScoringSet(name, ids, [who[u] for u in ids], target="total", scale=SCALE)
    found.first, found.first_word = first, first // 3
    found.labels = labels.astype(np.float32)
    return found


def make_run(root, name, noise, seeds=5, acoustic="small", sets=(), **settings):
    """``exp/scoring/<name>``: cards, and evaluations of labels with noise.

    Args:
        root: the working directory.
        name: of the experiment.
        noise: standard deviation of what is added to the labels.
        seeds: how many.
        acoustic: name of the acoustic model.
        sets: of :func:`make_set`, to be evaluated.
        settings: other flags than those of ``PLAIN``.
    """
    training = {**PLAIN, **settings}
    base = root / "exp" / "scoring" / name
    trees = training["model"] == "trees"
    for seed in range(seeds):
        folder = base / f"seed{seed}"
        folder.mkdir(parents=True)
        card = {
            "kind": "scoring", "model": training["model"], "target": training["target"],
            "scale": list(SCALE), "seed": seed, "training": training,
            "features": [{"am": [f"exp/acoustic/{acoustic}"], "method": "deep"}],
        }  # fmt: skip
        (folder / "config.yaml").write_text(yaml.safe_dump(card))
        learned = {"train_pcc": 0.81, "utterances": training["labelled"]}
        counts = {} if trees else {"scorer_parameters": 20289, "acoustic_parameters": 946686}
        (folder / "summary.json").write_text(json.dumps({**counts, **learned}))
        (folder / "log.tsv").write_text("stage\tepoch\ttrain_loss\nfinetune\t1\t0.5\n")
        (folder / "manifest.json").write_text(
            json.dumps({"command": "train scoring", "params": training, "counts": {},
                        "finished": "2026-01-02", "seconds": 3.0})
        )  # fmt: skip
    draw = np.random.default_rng(next(_names))
    for found in sets:
        found.target = training["target"]
        level = 0.68 + 0.6 * (found.labels - 0.68)
        shared = draw.normal(0, noise, len(level))
        made = level + shared + draw.normal(0, noise / 4, (seeds, len(level)))
        folder = base / "eval" / found.name
        scored = write_evaluation(folder, found, np.clip(made, 0, 1))
        if name == "ours":
            results.write_figures(folder, scored, "made")


def write_evaluation(folder, found, predictions):
    """What ``evaluate scoring`` writes of predictions ``[S, U]``."""
    folder.mkdir(parents=True)
    scored = metrics.Scored(found, list(range(len(predictions))), predictions.astype(np.float64))
    results.write_tables(folder, scored, dict.fromkeys(found.utterances, "WE CALL IT <B>BEAR</B>"))
    write_json(folder / "summary.json", metrics.summarize(scored, 100))
    manifest = {"command": "evaluate scoring", "params": {"set": found.name}, "counts": {},
                "finished": "2026-01-03", "seconds": 1.0}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return scored


def make_acoustic(root, name, hours, parameters=946686):
    """``exp/acoustic/<name>/summary.json``."""
    folder = root / "exp" / "acoustic" / name
    folder.mkdir(parents=True)
    held = {"frame_accuracy": 0.612, "phone_accuracy": 0.655, "phone_error_rate": 0.41}
    summary = {"frames": round(hours * 360000), "speakers": 50, "parameters": parameters,
               "held_out_sets": {"test": held}}  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    manifest = {"command": "train acoustic", "params": {"set_name": "train_am"}, "counts": {},
                "finished": "2026-01-01", "seconds": 1.0}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))


def make_all(root, utterances=60, seeds=2):
    """Runs for every table and figure of the report; returns the test set."""
    sc, test = (make_set(root, name, utterances, seed=k) for k, name in enumerate(("sc", "test")))
    for name, hours in (("small", 1.23), ("small_half", 0.6), ("small_quarter", 0.3)):
        make_acoustic(root, name, hours)
    both = (sc, test)
    frozen = {"pretrain": "frozen", "pretrain_set": "sc_b", "synthetic": "x"}
    runs: dict[str, tuple[float, dict]] = {
        "ours": (0.07, frozen),
        "plain <b>deep": (0.085, {}),
        "deep_unfrozen": (0.075, {**frozen, "pretrain": "unfrozen", "finetune": "unfrozen"}),
        "deep_half": (0.08, {**frozen, "pretrain": "unfrozen"}),
        "deep_no_labels": (0.11, {**frozen, "pretrain": "unfrozen", "finetune": "none"}),
        "gop": (0.1, {"input": "gop"}),
        "gop_stp": (0.095, {"input": "stp-gop"}),
        "blstm": (0.09, {"input": "gop", "model": "blstm"}),
        "gbt": (0.1, {"input": "gop", "model": "trees"}),
        "mean": (0.08, {**frozen, "model": "mean"}),
        "fluency": (0.08, {"init": "ours", "target": "fluency", "labelled": 50}),
        "fluency_plain": (0.12, {"target": "fluency", "labelled": 50}),
    }
    for labels, more in ((25, 0.06), (50, 0.04), (100, 0.02)):
        runs[f"ours_{labels}"] = (0.07 + more, {**frozen, "labelled": labels})
        runs[f"deep_{labels}"] = (0.085 + 2 * more, {"labelled": labels})
    for part in ("half", "quarter"):
        more = {"half": 0.015, "quarter": 0.03}[part]
        runs[f"deep_{part}_am"] = (0.085 + more, {"acoustic": f"small_{part}"})
    for name, (noise, settings) in runs.items():
        make_run(root, name, noise, seeds, sets=both, **settings)
    return test
