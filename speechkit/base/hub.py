"""Models of the Hugging Face hub: local folders, the cache, and what to do without a network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from speechkit.base.errors import UserError

PREFIX = "hf:"
_REPOSITORY = re.compile(r"[\w][\w.-]*/[\w.-]+")


def is_repository(name: str) -> bool:
    """Whether ``name`` can be a model of the hub (``OWNER/NAME``)."""
    return bool(_REPOSITORY.fullmatch(name)) and ".." not in name


def offline() -> bool:
    """Whether ``HF_HUB_OFFLINE`` (or ``TRANSFORMERS_OFFLINE``) asks for no network."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def fetch(
    name: str,
    patterns: Sequence[str],
    field: str,
    check: str = "",
    use: str = "",
    otherwise: Sequence[str] = (),
) -> Path:
    """Folder of a model of the hub: from its cache if it is there, else downloaded.

    Args:
        patterns: files that are needed, as globs.
        field: the setting that also takes a local folder, for the message.
        check: a file that a whole copy has, as a glob; empty takes whatever is there.
        use: what else to do with the folder, for the message; default to give it by ``field``.
        otherwise: globs of what is fetched in place of a ``check`` that the model lacks (so that
            of weights in two formats one is fetched).

    Raises:
        UserError: it is not in the cache and cannot be fetched; names the command to run.
    """
    from huggingface_hub import snapshot_download

    wanted, more = list(patterns), [*patterns, *otherwise]

    def whole(folder: Path) -> bool:
        accepted = [check, *otherwise] if check else ["*"]
        return any(next(folder.glob(each), None) is not None for each in accepted)

    with suppress(Exception):  # not in the cache: any error of the hub's says the same
        cached = Path(snapshot_download(name, allow_patterns=more, local_files_only=True))
        if whole(cached):
            return cached
    reason = "HF_HUB_OFFLINE is set and it is not in the cache"
    if not offline():
        try:
            folder = Path(snapshot_download(name, allow_patterns=wanted))
            if otherwise and not whole(folder):
                folder = Path(snapshot_download(name, allow_patterns=more))
            return folder
        except Exception as error:  # any transport may fail in its own way; the reason is shown
            lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
            reason = lines[0][:200] if lines else type(error).__name__
    if not Path(name).exists():
        reason += f" (and there is no folder {name} here)"
    use = use or f"give it as `{field}` DIR"
    raise UserError(
        f"The model '{name}' could not be fetched from the Hugging Face hub: {reason}.",
        f"Where there is a network, run: hf download {name} --local-dir DIR ; copy the folder "
        f"here and {use}. (With HF_HUB_OFFLINE=1 only the cache is searched.)",
    )
