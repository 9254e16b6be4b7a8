"""Files of weights and arrays that hold pickles, or tensors of other shapes, kinds and values."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from campaign import fresh

from hostile.watch import World

SB_SEP = """Encoder: !new:speechbrain.lobes.models.dual_path.Encoder
  kernel_size: 16
  out_channels: 8
MaskNet: !new:speechbrain.lobes.models.conv_tasnet.MaskNet
  N: 8
modules:
  encoder: !ref <Encoder>
  masknet: !ref <MaskNet>
masknet: !ref <MaskNet>
encoder: !ref <Encoder>
sample_rate: 8000
"""
SB_VEC = """n_mels: 24
sample_rate: 16000
compute_features: !new:speechbrain.lobes.features.Fbank
  n_mels: !ref <n_mels>
embedding_model: !new:speechbrain.lobes.models.Xvector.Xvector
  in_channels: !ref <n_mels>
  activation: !name:os.system
  lin_neurons: 32
"""
SEPARATE = "predict separation WAV --model sep --force --out ROOT/o"
TRAIN_HARD = (
    "train separation --name z --hard xvector_pm0.1 --epochs 1 --epoch-size 2 -j 0 --force "
    "--model tiny"
)
PICKLED = {  # a file, and commands that read it
    "exp/separation/sep": [
        SEPARATE,
        "export separation/sep ROOT/x.zip --force",
        "evaluate separation --name sep --force -j 1",
        "train separation --name z --init sep --epochs 1 --epoch-size 2 -j 0 --force",
    ],
    "exp/xvector_nnet/small": ["extract-xvector --model small --force -j 1"],
    "exp/acoustic/tiny": [
        "extract-deep --set so_test --am tiny --align-with sphinx --force -j 1"
    ],
    "exp/pronunciation/pron": [
        "predict pronunciation WAV --text WE --model pron",
        "evaluate pronunciation --name pron --set so_test --force",
    ],
    "exp/scoring/sc": [
        "predict scoring WAV --text WE --model sc",
        "evaluate scoring --name sc --set so_test --force -j 1",
    ],
    "exp/emotion/cnn": [
        "predict emotion WAV --model cnn", "evaluate emotion --name cnn --force -j 1"
    ],
    "exp/emotion/ege": ["predict emotion WAV --model ege"],
    "exp/hard/xvector_pm0.1": ["report", TRAIN_HARD],
    "exp/xvector/train": ["mine-hard --param xvector --pm 0.1 --force", "report"],
    "exp/gop/so_train": ["train pronunciation --set so_train --name z --epochs 1 -j 1 --force"],
    "exp/deep/so_train": ["train scoring --set so_train --name z --epochs 1 -j 1 --force"],
}  # fmt: skip
BINARY = (".safetensors", ".npy", ".npz", ".ark")
UNREAD = ("best_weighted.safetensors",)  # unless asked for
ENCODERS: list[dict[str, Any]] = [
    {"model_type": "wav2vec2"},
    {"model_type": "wav2vec2", "auto_map": {"AutoModel": "evil.M", "AutoConfig": "evil.C"}},
    {"model_type": "evil", "auto_map": {"AutoConfig": "evil.C", "AutoModel": "evil.M"}},
]
SIZES = {
    "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8,
}  # fmt: skip


class Bomb:
    """An object whose pickle runs a command."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.target}",)


def bombs(folder: Path, target: Path) -> dict[str, bytes]:
    """Files of every form in which a pickle can come."""
    import torch

    folder.mkdir()
    bomb = Bomb(target)
    pickled = np.array([bomb], dtype=object)
    checkpoint = {"model_name": "ConvTasNet", "model_args": bomb, "state_dict": {"a": bomb}}
    writers: dict[str, Callable[[Path], object]] = {
        "raw": lambda path: path.write_bytes(pickle.dumps(bomb)),
        "zip": lambda path: torch.save(checkpoint, path),
        "legacy": lambda path: torch.save({"a": bomb}, path, _use_new_zipfile_serialization=False),
        "jit": lambda path: torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path),
        "npy": lambda path: np.save(path.open("wb"), pickled, allow_pickle=True),
        "npz": lambda path: np.savez(path.open("wb"), a=pickled),
    }
    found = {}
    for name, write in writers.items():
        write(folder / name)
        found[name] = (folder / name).read_bytes()
    return found


def run_pickles(world: World) -> None:
    """Pickles as our own files, and as models of others."""
    made = bombs(world.outside / "bombs", world.outside / "pwned")
    for name, lines in PICKLED.items():
        found = sorted(p for p in (world.root / name).rglob("*") if p.suffix in BINARY)
        for path in [p for p in found if p.name not in UNREAD][:2]:
            before = path.read_bytes()
            for kind, bomb in made.items():
                path.write_bytes(bomb)
                for line in lines:
                    expected = (0, 2) if line == "report" else (2,)
                    world.judge(f"{kind} pickle as {name}", line, expected=expected)
            path.write_bytes(before)
    for kind, bomb in made.items():
        _foreign(world, kind, bomb)
        for config in ENCODERS:
            _encoder(world, kind, bomb, config)


def _foreign(world: World, kind: str, bomb: bytes) -> None:
    for suffix in (".pth", ".ckpt", ".pt", ".bin"):
        (world.root / f"foreign{suffix}").write_bytes(bomb)
        model = f"ROOT/foreign{suffix}"
        line = f"predict separation WAV --model {model} --out ROOT/o --force"
        world.judge(f"Asteroid {kind}{suffix}", line)
        line = f"train separation --init {model} --name z --epochs 1 -j 0"
        world.judge(f"--init {kind}{suffix}", line)
    folder = fresh(world.root / "speechbrain")
    for name in ("encoder.ckpt", "masknet.ckpt", "decoder.ckpt", "embedding_model.ckpt"):
        (folder / name).write_bytes(bomb)
    for text in (SB_SEP, SB_VEC, "embedding_model: !new:os.system ['touch pwned']\n"):
        (folder / "hyperparams.yaml").write_text(text)
        line = "predict separation WAV --model ROOT/speechbrain --out ROOT/o --force"
        world.judge(f"SpeechBrain, {kind}", line)
        line = "extract-xvector --model ROOT/speechbrain --name z -j 1"
        world.judge(f"SpeechBrain, {kind}", line)


def _encoder(world: World, kind: str, bomb: bytes, config: dict[str, Any]) -> None:
    folder = fresh(world.root / "enc")
    (folder / "config.json").write_text(json.dumps({**config, **SIZES}))
    (folder / "evil.py").write_text(f"import os; os.system('touch {world.outside}/pwned')\n")
    (folder / "pytorch_model.bin").write_bytes(bomb)
    extractor = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "auto_map": {"AutoFeatureExtractor": "evil.F"},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
    (folder / "vocab.json").write_text('{"a": 0, "<pad>": 1}')
    tokenizer = {
        "tokenizer_class": "Wav2Vec2CTCTokenizer", "auto_map": {"AutoTokenizer": ["evil.T", None]},
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    for line in (
        "train emotion --upstream ROOT/enc --name z --folds 0 --epochs 1 -j 1",
        "extract-hidden --upstream ROOT/enc -j 1",
        "align --set so_test --am ROOT/enc --name z -j 1",
        "extract-deep --set so_test --am ROOT/enc --align-with sphinx --name z -j 1",
    ):
        world.judge(f"encoder, {kind}", line)


def run_tensors(world: World) -> None:
    """Weights that do not fit their card, or are no safetensors."""
    from safetensors.numpy import load_file, save_file

    for name, lines in PICKLED.items():
        found = sorted((world.root / name).rglob("*.safetensors"))
        if not found:
            continue
        path, line = found[0], lines[0]
        before, good = path.read_bytes(), load_file(path)
        for what, data in _broken(before).items():
            path.write_bytes(data)
            world.judge(f"{name}: {what}", line, expected=(0, 2))
        for what, values in _changed(good).items():
            save_file(values, path)
            world.judge(f"{name}: {what}", line, expected=(0, 2))
        path.write_bytes(before)


def _broken(data: bytes) -> dict[str, bytes]:
    """A file of weights with another header, or cut."""
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    first = next(name for name in header if name != "__metadata__")

    def changed(**more: Any) -> bytes:
        text = json.dumps({**header, first: {**header[first], **more}}).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + length :]

    def told(size: int, text: bytes) -> bytes:
        return struct.pack("<Q", size) + text

    renamed = {"../pwned" if name == first else name: one for name, one in header.items()}
    text = json.dumps(renamed).encode()
    return {
        "empty": b"",
        "short": data[:5],
        "cut header": data[: 8 + length // 2],
        "cut data": data[:-7],
        "longer": data + b"x" * 9,
        "huge header": told(2**63, data[8:]),
        "largest header": told(2**64 - 1, data[8:]),
        "header of 0": told(0, data[8:]),
        "no JSON": told(4, b"abcd"),
        "deep JSON": told(100000, b"[" * 100000),
        "a list": told(2, b"[]"),
        "no tensors": told(2, b"{}"),
        "overlap": changed(data_offsets=[0, 4]),
        "negative": changed(data_offsets=[-4, 4]),
        "reversed": changed(data_offsets=[8, 4]),
        "beyond": changed(data_offsets=[0, 2**62]),
        "unknown kind": changed(dtype="EVIL"),
        "another kind": changed(dtype="F8_E5M2"),
        "huge shape": changed(shape=[2**62, 4]),
        "negative shape": changed(shape=[-1]),
        "renamed": told(len(text), text + data[8 + length :]),
    }


def _changed(good: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Weights of other values, kinds and shapes."""

    def filled(value: float) -> dict[str, np.ndarray]:
        return {
            name: np.full_like(array, value) if array.dtype.kind == "f" else array
            for name, array in good.items()
        }

    return {
        "NaN": filled(np.nan),
        "infinite": filled(np.inf),
        "huge": filled(3e38),
        "zero": filled(0),
        "float64": {name: array.astype("f8") for name, array in good.items()},
        "int": {name: np.asarray(np.nan_to_num(array), "i4") for name, array in good.items()},
        "float16": {name: array.astype("f2") for name, array in good.items()},
        "fewer": dict(list(good.items())[1:]),
        "more": {**good, "x": np.zeros(3, "f4")},
        "flat": {name: array.reshape(-1) for name, array in good.items()},
        "nothing": {},
        "empty": {name: array[:0] if array.ndim else array for name, array in good.items()},
        "scalars": {name: np.zeros((), "f4") for name in good},
    }
