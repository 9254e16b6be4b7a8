"""A cache of the Hugging Face hub on disk, as huggingface_hub lays it out, and no network."""

from __future__ import annotations

from pathlib import Path

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def cached_folder(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``models--OWNER--NAME/snapshots/COMMIT``, to be filled; hub.fetch looks there alone."""
    import huggingface_hub

    home = root / "models--{}--{}".format(*name.split("/"))
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(COMMIT)
    real = huggingface_hub.snapshot_download
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    def of_cache(name: str, **how: object) -> str:
        return str(real(name, **{"cache_dir": root, **how}))  # type: ignore[arg-type]

    monkeypatch.setattr(huggingface_hub, "snapshot_download", of_cache)
    return home / "snapshots" / COMMIT
