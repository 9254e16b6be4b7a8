"""What a model is published with: its card (what it is, how well it did, how to use it), and its
file on the Hugging Face hub, put there and fetched from there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from speechkit.base import hub
from speechkit.base.errors import ConfigError, UserError, one_line
from speechkit.base.schema import as_object
from speechkit.base.tables import show
from speechkit.sharing import archive
from speechkit.sharing.models import TrainedModel, read_card
from speechkit.workdir.manifest import read_json

_FOREIGN = {  # task -> files of the models of others that it takes
    "separation": ("best_model.pth", "pytorch_model.bin", "hyperparams.yaml", "*.ckpt"),
    "emotion": ("config.json",),
    "pronunciation": ("config.json",),
    "scoring": ("config.json",),
}
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


def check_target(repository: str) -> None:
    """Refuse what cannot work before a large file is written.

    Raises:
        UserError: no name of a repository, no network wanted, or nobody is logged in.
    """
    from huggingface_hub import get_token

    if not hub.is_repository(repository):
        raise ConfigError(
            "push_to_hub", f"'{repository}' is not a name on the hub.", "Expected: OWNER/NAME."
        )
    if hub.offline():
        raise UserError(
            "HF_HUB_OFFLINE is set: nothing can be pushed.",
            "Unset it, or carry the file that export writes.",
        )
    if not get_token():
        raise UserError(
            "Nobody is logged in to the Hugging Face hub on this machine.",
            "Run `hf auth login`, or set HF_TOKEN to a token that may write.",
        )


def push(file: Path, card: str, repository: str, private: bool) -> str:
    """Put a model's file and its card into a repository of the hub, in one commit.

    Args:
        file: that :func:`archive.write` wrote.
        card: shown as the repository's page.
        repository: OWNER/NAME; made if it is not there.
        private: make it private, if it is made.

    Returns:
        Address of the commit.

    Raises:
        UserError: the hub refused, or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    told = archive.read_list(file)
    api = HfApi()
    try:
        api.create_repo(repository, repo_type="model", private=private, exist_ok=True)
        done = api.create_commit(
            repository,
            [
                CommitOperationAdd(archive.README, card.encode()),
                CommitOperationAdd(f"{told.name}.zip", str(file)),
            ],
            commit_message=f"{told.task} model {told.name} of speechkit {told.speechkit}",
            repo_type="model",
        )
    except Exception as error:  # any transport may fail in its own way; the reason is shown
        raise UserError(
            f"The model could not be pushed to '{repository}': {one_line(error)}",
            f"The file is there: {file}. Mend the reason, and push it again with `force`, or run: "
            f"hf upload {repository} {file}",
        ) from error
    return str(done.commit_url)


def fetch(repository: str, task: str = "") -> Path:
    """The model's file of a repository of the hub.

    Args:
        repository: ``hf:OWNER/NAME``.
        task: take what others publish for this task too; its folder is given then: a Conv-TasNet
            of Asteroid or SpeechBrain, an audio-classification model of transformers (emotion).

    Raises:
        UserError: it cannot be reached, or has no such file or several.
    """
    name = repository.removeprefix(hub.PREFIX)
    if not hub.is_repository(name):
        raise UserError(f"'{repository}' is not a name on the hub.", "Expected: hf:OWNER/NAME.")
    of_others = _FOREIGN.get(task, ())
    use = "give it as `model` DIR" if of_others else "import the .zip file in it"
    folder = hub.fetch(name, ["*.zip"], "", "*.zip", use=use, otherwise=of_others)
    found = sorted(folder.glob("*.zip"))
    if not found and any(next(folder.glob(each), None) for each in of_others):
        if task != "emotion":
            return folder
        from speechkit.emotion import encoder_files

        return encoder_files.find(repository, "model")  # of two formats one
    if len(found) != 1:
        raise UserError(
            f"'{name}' has {len(found)} .zip files, expected the one that export wrote.",
            f"Fetch the one you want: hf download {name} FILE",
        )
    return found[0]


def write_card(
    found: TrainedModel, licence: str = "", library: str = "speechkit", use: str = ""
) -> str:
    """Markdown with the hub's front matter.

    Args:
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
        "\n".join(["## What it is\n", "| | |", "|---|---|", *_facts(found, config), ""]),
        *_results(found.base),
        *_cautions(config),
        f"## Use\n\n{use or _use(found)}",
    ]
    return "\n".join(part for part in parts if part)


def _facts(found: TrainedModel, config: Mapping[str, Any]) -> list[str]:
    """Rows of a table."""
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
    return [
        f"| {key} | {_cell(value)} |" for key, value in facts.items() if value not in (None, "")
    ]


def _name(upstream: Any) -> str:
    """Of an upstream, without the folder that it lay in on some machine."""
    text = str(upstream or "")
    return text.rstrip("/").rpartition("/")[2] if text.startswith(("/", ".", "~")) else text


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
