"""A model's file on the Hugging Face hub: put there, and fetched from there."""

from __future__ import annotations

from pathlib import Path

from speechkit.base import hub
from speechkit.base.errors import ConfigError, UserError
from speechkit.sharing import archive

_FOREIGN = {  # task -> files of the models of others that it takes
    "separation": ("best_model.pth", "pytorch_model.bin", "hyperparams.yaml", "*.ckpt"),
    "emotion": ("config.json",),
    "pronunciation": ("config.json",),
    "scoring": ("config.json",),
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

    contents = archive.read_list(file)
    api = HfApi()
    try:
        api.create_repo(repository, repo_type="model", private=private, exist_ok=True)
        done = api.create_commit(
            repository,
            [
                CommitOperationAdd(archive.README, card.encode()),
                CommitOperationAdd(f"{contents.name}.zip", str(file)),
            ],
            commit_message=f"{contents.task} model {contents.name} of speechkit {contents.version}",
            repo_type="model",
        )
    except Exception as error:  # any transport may fail in its own way; the reason is shown
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UserError(
            f"The model could not be pushed to '{repository}': {reason}",
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
