"""Conv-TasNets of Asteroid and SpeechBrain on disk, as these leave them.

`separation/parity/*.npz` were written by benchmarks/export_parity.py with Asteroid 0.7.0 and
SpeechBrain 1.1.2.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

PARITY = Path(__file__).parent / "separation" / "parity"
ASTEROID = sorted(path.stem for path in PARITY.glob("asteroid_*.npz"))
SPEECHBRAIN = sorted(path.stem for path in PARITY.glob("speechbrain_*.npz"))


def unpack(stored) -> dict[str, torch.Tensor]:
    """The weights of a parity file by name."""
    shapes = [json.loads(str(shape)) for shape in stored["shapes"]]
    parts = torch.from_numpy(stored["weights"]).split([int(np.prod(s)) for s in shapes])
    names = [str(name) for name in stored["names"]]
    return {n: p.reshape(s) for n, p, s in zip(names, parts, shapes, strict=True)}


def write_asteroid(path: Path, name: str = "asteroid_gln", **changed) -> Path:
    """The file that Asteroid would have saved; ``changed`` replaces settings of the model."""
    stored = np.load(PARITY / f"{name}.npz")
    saved = json.loads(str(stored["config"]))
    saved["model_args"].update(changed)
    saved["state_dict"] = OrderedDict(unpack(stored))
    saved["infos"] = {"software_versions": {"torch_version": torch.__version__}}
    saved["final_results"] = {"si_sdr": np.float64(14.7), "sdr": np.float32(15.0)}
    torch.save(saved, path)
    return path


def write_speechbrain(folder: Path, name: str = "speechbrain_gln", **changed) -> Path:
    """The folder of a SpeechBrain experiment; ``changed`` replaces text of the YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = np.load(PARITY / f"{name}.npz")
    text = str(stored["config"])
    for old, new in changed.items():
        assert f"{old}: " in text
        lines = [f"    {old}: {new}" if f" {old}: " in x else x for x in text.splitlines()]
        text = "\n".join(lines)
    (folder / "hyperparams.yaml").write_text(text)
    parts: dict[str, dict] = {"encoder": {}, "masknet": {}, "decoder": {}}
    for key, value in unpack(stored).items():
        part, _, key = key.partition("/")
        parts[part][key] = value
    for part, weights in parts.items():
        torch.save(weights, folder / f"{part}.ckpt")
    return folder
