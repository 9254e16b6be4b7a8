"""Sections on sets, speakers and hard pairs; each is left out where no stage wrote it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base import schema
from speechkit.base.audio import Pipe
from speechkit.base.errors import UserError
from speechkit.base.log import counted
from speechkit.kaldi import data
from speechkit.kaldi.ark import ArkTable
from speechkit.report import figures
from speechkit.report.elements import Cell, Picture, Player, Section, Table, clip
from speechkit.report.reader import params_of, read_log, set_order
from speechkit.speaker import prosody, verification
from speechkit.task.paper import flat
from speechkit.workdir import WorkDir
from speechkit.workdir.manifest import read_manifest

HISTOGRAM_TRIALS = 400_000
SHORT = 150  # characters of parameters that are shown at once
_UNKNOWN = "?-?"  # genders of a pair of speakers


def sets(workdir: WorkDir) -> Section | None:
    """Speakers, utterances and hours of every set."""
    rows, notices = [], []
    for name in sorted(workdir.sets(), key=set_order):
        found = data.load(workdir.data(name), workdir.root, allow_pipes=True)
        genders = Counter(found.gender.get(speaker) for speaker in found.speakers)
        hours = sum(found.durations.values()) / 3600 if found.durations else None
        rows.append(
            {
                "set": name,
                "speakers": len(found.speakers),
                "female": genders["f"] if found.gender else None,
                "male": genders["m"] if found.gender else None,
                "utterances": len(found.utterances),
                "hours": None if hours is None else round(hours, 2),
            }
        )
        if notice := (read_manifest(found.path) or {}).get("notice"):
            notices.append(notice)
    if not rows:
        return None
    return Section("Sets", list(dict.fromkeys(notices)), [Table.of(rows, dense=False)])


def pitch(workdir: WorkDir) -> Section | None:
    """Median pitch by gender, from ``exp/prosody``."""
    rows, panels = [], []
    for folder in _outputs(workdir, "prosody"):
        table = prosody.read(folder / "prosody.tsv")
        by_gender = _by_gender(workdir, params_of(folder)["set"], table)
        panels.append((folder.name, by_gender))
        for gender, values in sorted(by_gender.items()):
            low, middle, high = np.percentile(values, (5, 50, 95))
            rows.append([folder.name, gender, len(values), *map(float, (low, middle, high))])
    if not rows:
        return None
    columns = ["set", "gender", "utterances", "f0 5 % (Hz)", "f0 median (Hz)", "f0 95 % (Hz)"]
    caption = "Median pitch of each utterance, by the gender of its speaker."
    if all(row[1] == "?" for row in rows):  # nobody's gender is known
        columns, rows = columns[:1] + columns[2:], [row[:1] + row[2:] for row in rows]
        caption = "Median pitch of each utterance."
    picture = Picture(
        figures.pitch(panels),
        caption,
        "Histograms of median pitch in Hz for female and male speakers, one panel a set.",
    )
    return Section("Pitch", tables=[Table(columns, rows, dense=False)], pictures=[picture])


def _by_gender(workdir: WorkDir, name: str, table: dict[str, Any]) -> dict[str, np.ndarray]:
    found = data.load(workdir.data(name), workdir.root, allow_pipes=True)
    values: dict[str, list[float]] = {}
    for u in found.utterances:
        if u.id in table and np.isfinite(table[u.id].f0_median_hz):
            gender = found.gender.get(u.speaker, "?")
            values.setdefault(gender, []).append(table[u.id].f0_median_hz)
    return {gender: np.array(v) for gender, v in values.items()}


def networks(workdir: WorkDir) -> Section | None:
    """Training of x-vector networks."""
    rows, pictures = [], []
    for folder in _outputs(workdir, "xvector_nnet"):
        summary, manifest = _json(folder / "summary.json"), read_manifest(folder) or {}
        rows.append(
            {
                "model": folder.name,
                "speakers": manifest["counts"]["speakers"],
                "training utterances": manifest["counts"]["train"],
                "best epoch": summary["best_epoch"],
                "held-out accuracy": summary["held_out_accuracy"],
                "held-out EER (%)": summary["held_out_eer_percent"],
                "minutes": round(manifest["seconds"] / 60, 1),
            }
        )
        pictures.append(
            Picture(
                figures.training(read_log(folder / "log.tsv"), summary["best_epoch"]),
                f"Training of '{folder.name}': the dashed line is the selected epoch.",
                "Curves of training and held-out loss, held-out accuracy and equal error rate.",
            )
        )
    text = (
        "Held-out utterances are of the training speakers; the equal error rate (EER) is over "
        "all pairs of them."
    )
    if not rows:
        return None
    return Section("X-vector networks", [text], [Table.of(rows, dense=False)], pictures)


def vectors(workdir: WorkDir) -> Section | None:
    """How well x-vectors tell speakers apart, per set."""
    rows, panels = [], []
    for folder in _outputs(workdir, "xvector"):
        summary, params = _json(folder / "summary.json"), params_of(folder)
        rows.append(
            {
                "set": folder.name,
                "model": params["model"],
                "speakers": summary["speakers"],
                "utterances": summary["utterances"],
                "trials": summary["trials"],
                "EER (%)": summary["eer_percent"],
                "95 % interval": _interval(summary),
                "cosine, same speaker": summary["cosine_same_speaker_mean"],
                "cosine, other speaker": summary["cosine_other_speaker_mean"],
            }
        )
        panels.append((folder.name, *_scores(workdir, folder, params["set"])))
    if not rows:
        return None
    picture = Picture(
        figures.cosines(panels),
        "Cosine similarity of pairs of utterances.",
        "Histograms of cosine similarity for pairs of one speaker and of two speakers.",
    )
    text = (
        "Trials are all pairs of utterances of a set. Intervals are a bootstrap over speakers, "
        "for sets of up to some 750 utterances."
    )
    return Section("X-vectors", [text], [Table.of(rows, dense=False)], [picture])


def _interval(summary: dict[str, Any]) -> str | None:
    low, high = summary.get("eer_low_percent"), summary.get("eer_high_percent")
    return None if low is None or high is None else f"{low:.1f} to {high:.1f}"


def _scores(workdir: WorkDir, folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    table = ArkTable(folder / "xvector.scp", workdir.root)
    speaker = data.read_table(workdir.data(name) / "utt2spk")
    scores, same = verification.trials(table.stack(), np.array([speaker[key] for key in table]))
    step = max(1, len(scores) // HISTOGRAM_TRIALS)
    return scores[::step], same[::step]


def hard_pairs(workdir: WorkDir) -> Iterator[Section]:
    """One section per folder of ``mine-hard``."""
    for folder in _outputs(workdir, "hard"):
        summary = _json(folder / "summary.json")
        section = Section(f"Hard pairs: {folder.name}")
        counts = summary["counts"]
        section.text.append(
            f"For each of {counted(counts['pivots'], 'pivot utterance')} of '{summary['set']}', "
            f"the {100 * summary['pm']:g} % of other speakers' utterances that are nearest by "
            f"{summary['param']}: {counted(counts['hard_pairs'], 'hard pair')} of "
            f"{counts['candidate_pairs']:,} possible."
        )
        alt = "Distances of hard and other pairs per gender combination, and shares of each."
        section.pictures += Picture.of_file(folder / "distances.png", "Who is hard for whom.", alt)
        for key, title in (("gender_pairs", "genders"), ("age_pairs", "age")):
            if summary.get(key, {}).keys() - {_UNKNOWN}:
                columns = (title, "of hard pairs (%)", "by chance (%)", "ratio")
                shares = [
                    [name, of["hard_percent"], of["chance_percent"], of["lift"]]
                    for name, of in summary[key].items()
                ]
                section.tables.append(Table(columns, shares, dense=False))
        if worst := summary["hardest_speaker_pairs"]:
            known = any(pair["genders"] != _UNKNOWN for pair in worst)
            rows = [
                {key.replace("_", " "): v for key, v in pair.items() if known or key != "genders"}
                for pair in worst
            ]
            caption = "The speaker pairs of whose utterance pairs the largest share is hard."
            section.tables.append(Table.of(rows, caption, dense=False))
            section.players = _speakers(workdir, summary["set"], worst[:3])
        yield section


def _speakers(workdir: WorkDir, name: str, pairs: Sequence[dict[str, Any]]) -> list[Player]:
    """One clip of each speaker of each pair; utterances that cannot be read are left out."""
    found = data.load(workdir.data(name), workdir.root, allow_pipes=True)  # none is run
    players = []
    for pair in pairs:
        both = (pair["speaker_a"], pair["speaker_b"])
        for speaker, other in (both, both[::-1]):
            own = (u for u in found.utterances if u.speaker == speaker)
            try:
                first = next(u for u in own if not isinstance(u.wav, Pipe))
                players.append(Player(*clip(first), f"{speaker} (hard for {other})"))
            except (UserError, StopIteration):
                continue
    return players


def stages(workdir: WorkDir) -> Section | None:
    """What was run, with which parameters, and how long it took."""
    rows: list[tuple[str, dict[str, Any]]] = []
    manifests = sorted((workdir.root / "data").glob("*/manifest.json"))
    manifests += sorted((workdir.root / "exp").glob("**/manifest.json"))
    for path in manifests:
        folder = path.parent.relative_to(workdir.root)
        hidden = any(part.startswith(".") for part in folder.parts)
        found = None if hidden else read_manifest(path.parent)
        if found is not None:
            finished = str(found["finished"])
            row = {
                "output": str(folder),
                "command": found["command"],
                "parameters": _parameters(found["params"]),
                "seconds": round(found["seconds"], 1),
                "finished (UTC)": Cell(finished[:16].replace("T", " "), number=True),
            }
            rows.append((finished, row))
    rows.sort(key=lambda pair: pair[0])
    return Section("Stages", tables=[Table.of([r for _, r in rows])]) if rows else None


def _parameters(params: dict[str, Any]) -> Cell:
    """What was given to a stage; a long list unfolds."""
    text = ", ".join(f"{k}={v}" for k, v in flat(params) if v not in ("", []))
    if len(text) <= SHORT:
        return Cell(text)
    return Cell(text[: text.rfind(",", 0, SHORT)] + " ...", more=text)


def _outputs(workdir: WorkDir, stage: str) -> list[Path]:
    """Finished outputs of a stage, by name."""
    folders = workdir.exp(stage).glob("*/manifest.json")
    found = (p.parent for p in folders if not p.parent.name.startswith("."))
    return sorted(found, key=lambda p: set_order(p.name))


def _json(path: Path) -> dict[str, Any]:
    return schema.read_json(path, schema.Object)
