"""The model card: what a shared model is, how well it did, and how to use it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from speechkit.base.schema import as_object
from speechkit.base.tables import show
from speechkit.sharing.models import TrainedModel, read_card
from speechkit.workdir.manifest import read_json

_PIPELINES = {
    "separation": "audio-to-audio",
    "emotion": "audio-classification",
    "xvector": "feature-extraction",
}
_TITLES = {
    "separation": "speech separation",
    "pronunciation": "pronunciation assessment",
    "scoring": "pronunciation scoring",
    "emotion": "emotion recognition in speech",
    "acoustic": "acoustic model",
    "xvector": "speaker vectors",
}
_USES = {
    "separation": "speechkit predict separation talk.wav --model {name}",
    "pronunciation": 'speechkit predict pronunciation a.wav --text "..." --model {name}',
    "scoring": 'speechkit predict scoring a.wav --text "..." --model {name}',
    "emotion": "speechkit predict emotion a.wav --model {name}",
    "acoustic": "speechkit align --set SET --am {name}",
    "xvector": "speechkit extract-xvector --set SET --model {name}",
}


def write_card(
    found: TrainedModel, licence: str = "", library: str = "speechkit", use: str = ""
) -> str:
    """Markdown with the hub's front matter.

    Args:
        found: the model.
        licence: identifier as the hub has them (apache-2.0, cc-by-4.0 ...); empty leaves it out.
        library: that loads the model.
        use: how, in Markdown; empty for that of the file of export.
    """
    config = read_card(found.base / found.models[0])
    front: dict[str, Any] = {
        "library_name": library,
        "tags": ["speechkit", "speech", _TITLES[found.task].replace(" ", "-")],
    }
    if found.task in _PIPELINES:
        front["pipeline_tag"] = _PIPELINES[found.task]
    if licence:
        front["license"] = licence
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n",
        f"# {found.name}: {_TITLES[found.task]}\n",
        _table("What it is", _facts(found, config)),
        *_results(found.base),
        *_cautions(config),
        f"## Use\n\n{use or _use(found)}",
    ]
    return "\n".join(part for part in parts if part)


def _facts(found: TrainedModel, config: Mapping[str, Any]) -> dict[str, Any]:
    classes = config.get("classes")
    facts: dict[str, Any] = {
        "task": found.task,
        "kind": config.get("model", config.get("kind")),
        "models in the file": ", ".join(m.as_posix() for m in found.models[:12])
        + (" ..." if len(found.models) > 12 else ""),
        "sample rate (Hz)": config.get("sample_rate"),
        "classes": ", ".join(map(str, classes)) if isinstance(classes, list) else "",
        "encoder or features": _name(config.get("upstream")),
    }
    training = config.get("training")
    if isinstance(training, dict):
        for key in ("set", "set_name", "split", "freeze", "epochs", "batch_size", "learning_rate"):
            facts[f"training: {key}"] = training.get(key)
    return {key: value for key, value in facts.items() if value not in (None, "")}


def _name(upstream: Any) -> str:
    """Of an upstream, without the folder that it lay in on some machine."""
    text = str(upstream or "")
    return text.rstrip("/").rpartition("/")[2] if text.startswith(("/", ".", "~")) else text


def _table(title: str, rows: Mapping[str, Any]) -> str:
    lines = [f"## {title}\n", "| | |", "|---|---|"]
    lines += [f"| {key} | {_cell(value)} |" for key, value in rows.items()]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    return show(value).replace("|", "\\|").replace("\n", " ")


def _results(base: Path) -> list[str]:
    """The summaries of the evaluations that there are."""
    parts = []
    for file in sorted(base.glob("eval/*/summary.json")):
        summary = read_json(file)
        if not isinstance(summary, dict):
            continue
        rows = [
            f"| {name} | {_cell(v.get('mean'))} | {_cell(v.get('std'))} | {_cell(v.get('n'))} |"
            for name, v in summary.items()
            if isinstance(v, dict) and "mean" in v
        ]
        if rows:
            head = f"## Measured on `{file.parent.name}`\n\n| measure | mean | std | n |"
            parts.append("\n".join([head, "|---|---|---|---|", *rows]) + "\n")
    return parts


def _cautions(config: Mapping[str, Any]) -> list[str]:
    said = []
    training = as_object(config.get("training"))
    if str(training.get("split", "")).startswith("random"):
        said.append(
            "The split of the training set was random: speakers are in the training and in the "
            "test part, so results do not hold for new speakers."
        )
    if config.get("chosen_on_test"):
        said.append(
            "The step was chosen on the test clips, of speakers that were trained on: the results "
            "are too good."
        )
    if config.get("upstream") in ("egemaps", "compare16"):
        said.append("It needs openSMILE's features, whose licence is for non-commercial use.")
    return ["## Mind\n\n" + "\n".join(f"- {line}" for line in said) + "\n"] if said else []


def _use(found: TrainedModel) -> str:
    lines = [f"speechkit import {found.name}.zip   # or hf:OWNER/NAME"]
    if found.task in _USES:
        lines.append(_USES[found.task].format(name=found.name))
    return "```sh\n" + "\n".join(lines) + "\n```\n"
