"""Where an encoder's files are, and loading them: all of the weights, or a clear refusal."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from speechkit.base import hub, schema
from speechkit.base.errors import ConfigError, MissingDependency, UserError, one_line
from speechkit.emotion.config import PAPER_UPSTREAMS
from speechkit.training.weights import write_weights

FAMILIES = ("wav2vec2", "hubert", "wavlm", "data2vec-audio")
CONFIG, PREPROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
_WEIGHTS = (
    WEIGHTS, "model.safetensors.index.json",
    "pytorch_model.bin", "pytorch_model.bin.index.json",
)  # fmt: skip
_DOWNLOAD = [CONFIG, PREPROCESSOR, "*.safetensors", "*.safetensors.index.json"]
_OTHERWISE = ["pytorch_model*.bin", "pytorch_model.bin.index.json"]
COPY_OF = "copy_of.json"
_MEGABYTE = 1 << 20
_MAY_LACK = ("masked_spec_embed",)  # only used by SpecAugment; zeros where it is not there
_ACCEPTED = (
    "a folder with config.json and weights as Hugging Face saves them, OWNER/NAME or "
    f"hf:OWNER/NAME of the hub, or one of {', '.join(PAPER_UPSTREAMS)}"
)


@dataclass(frozen=True)
class Preprocessing:
    """How a wave is prepared.

    Args:
        sample_rate: in Hz.
        normalise: to mean 0 and variance 1, clip by clip.
    """

    sample_rate: int = 16_000
    normalise: bool = True


def find(spec: str, field: str = "upstream") -> Path:
    """Local folder of an encoder; fetched from the hub if it is not on this machine.

    Args:
        spec: a folder, ``OWNER/NAME``, ``hf:OWNER/NAME``, or a key of ``PAPER_UPSTREAMS``.
        field: the setting that takes a folder, for the message.

    Raises:
        UserError: there is no such folder, or the hub's model cannot be had.
    """
    name = PAPER_UPSTREAMS.get(spec, spec)
    if not name.startswith(hub.PREFIX):
        folder = Path(name).expanduser()
        if folder.is_dir():
            return folder
    name = name.removeprefix(hub.PREFIX)
    if not hub.is_repository(name) or name.startswith("exp/"):
        raise ConfigError(
            "upstream",
            f"'{spec}' is neither a folder nor a model of the hub.",
            f"Accepted: egemaps, compare16, fbank-cnn, {_ACCEPTED}.",
        )
    return hub.fetch(name, _DOWNLOAD, field, "*.safetensors", otherwise=_OTHERWISE)


def is_local(spec: str) -> bool:
    """Whether a spec names a folder of this machine."""
    return not spec.startswith(hub.PREFIX) and Path(spec).expanduser().is_dir()


def short_name(spec: str) -> str:
    """A spec as a part of a folder's name: ``hubert-large-ls960-ft``."""
    last = spec.removeprefix(hub.PREFIX).rstrip("/").rpartition("/")[2]
    return "".join(c if c.isalnum() or c in "_-.+" else "_" for c in last)[:60].lstrip("-.+")


def weight_files(folder: Path) -> list[Path]:
    """The files that hold an encoder's weights: safetensors where there are any."""
    found = sorted(folder.glob("*.safetensors"))
    return found or sorted(folder.glob("pytorch_model*.bin"))


def input_files(folder: Path) -> list[Path]:
    """All files that decide what an encoder computes."""
    small = (folder / name for name in (CONFIG, PREPROCESSOR))
    return [*(path for path in small if path.is_file()), *weight_files(folder)]


def digest(folder: Path) -> str:
    """SHA-256 over the sizes, beginnings and ends of an encoder's files.

    Not over all of a model of gigabytes, which would take longer than to load it.
    """
    found = hashlib.sha256()
    for path in input_files(folder):
        size = path.stat().st_size
        found.update(f"{path.name}\0{size}\n".encode())
        with path.open("rb") as file:
            found.update(file.read(_MEGABYTE))
            file.seek(max(0, size - _MEGABYTE))
            found.update(file.read())
    return found.hexdigest()


def digests(folder: Path) -> set[str]:
    """The digest of a folder, and that of the encoder it is a copy of in another format."""
    own = digest(folder)
    note = folder / COPY_OF
    content = read_json(note) if note.is_file() else {}
    return {own, str(content["digest"])} if content.get("own") == own else {own}


def origin(folder: Path) -> str:
    """Digest of the encoder that a folder holds, whatever format it was copied to."""
    found = digests(folder)
    return found.pop() if len(found) == 1 else str(read_json(folder / COPY_OF)["digest"])


def write_copy(folder: Path, target: Path) -> None:
    """Copy an encoder's files; weights of a pickle are written as safetensors.

    Raises:
        UserError: it cannot be loaded.
    """
    target.mkdir(parents=True, exist_ok=True)
    for path in input_files(folder):
        if path.suffix != ".bin":
            shutil.copyfile(path, target / path.name)
    if not list(folder.glob("*.safetensors")):
        model = load_model(folder, read_config(folder))
        tensors = {k: v.clone() for k, v in model.state_dict().items()}
        write_weights(target / WEIGHTS, tensors, {"format": "pt"})
    elif (folder / _WEIGHTS[1]).is_file():
        shutil.copyfile(folder / _WEIGHTS[1], target / _WEIGHTS[1])
    note = {"digest": origin(folder), "own": digest(target)}
    (target / COPY_OF).write_text(json.dumps(note) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a file.

    Raises:
        UserError: it is missing or not one.
    """
    if not path.exists():
        raise UserError(
            f"{path.parent} is not an encoder: it has no {path.name}.", f"Accepted: {_ACCEPTED}."
        )
    return schema.read_json(path, schema.Object, "Download it again.")


def preprocessing(folder: Path) -> Preprocessing:
    """From ``preprocessor_config.json``; 16 kHz and normalised where it is not there.

    Raises:
        UserError: the file is damaged.
    """
    if not (folder / PREPROCESSOR).is_file():
        return Preprocessing()
    content = read_json(folder / PREPROCESSOR)
    return Preprocessing(
        int(content.get("sampling_rate", 16_000)), bool(content.get("do_normalize", True))
    )


def transformers() -> Any:
    """The package, quiet.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingDependency("transformers", "emotion") from error
    # Its own report of missing weights is replaced by ours.
    logging.getLogger("transformers.modeling_utils").setLevel(logging.ERROR)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", message=".*mismatched key_padding_mask.*")  # in its WavLM
    return transformers


def read_config(folder: Path) -> Any:
    """The configuration of an encoder of a known family.

    Raises:
        UserError: it is damaged, or of another family.
    """
    family = read_json(folder / CONFIG).get("model_type")
    if family not in FAMILIES:
        raise UserError(
            f"{folder} is of the family '{family}'.", f"Supported: {', '.join(FAMILIES)}."
        )
    try:
        return transformers().AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{folder / 'config.json'} cannot be used: {error}.") from error


def import_network(folder: Path) -> None:
    """Import the class of an encoder: PyTorch 2.8 cannot on the "meta" device, where it is made."""
    library = transformers()
    library.MODEL_MAPPING[type(read_config(folder))]


def new_model(config: Any) -> torch.nn.Module:
    """An encoder of a configuration; its weights are to be loaded."""
    config = copy.deepcopy(config)
    config.mask_time_prob = max(config.mask_time_prob, 1e-3)  # it then has a mask's vector
    model = transformers().AutoModel.from_config(config)
    model.adapter = None
    return model


def load_model(folder: Path, config: Any) -> torch.nn.Module:
    """The pretrained encoder of a folder, in float32, without heads.

    Args:
        folder: with config.json and weights, of the bare encoder or with a head (CTC ...).
        config: from :func:`read_config`.

    Raises:
        UserError: weights are missing, damaged, incomplete, or of another shape.
    """
    if not any((folder / name).is_file() for name in _WEIGHTS):
        raise UserError(
            f"{folder} has no weights ({WEIGHTS} or {_WEIGHTS[2]}).",
            "Download it again: hf download OWNER/NAME --local-dir DIR.",
        )
    library = transformers()
    config = copy.deepcopy(config)
    config.mask_time_prob = max(config.mask_time_prob, 1e-3)  # it then has a mask's vector
    config.add_adapter = False
    try:
        model, told = library.AutoModel.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    except Exception as error:  # formats have errors of their own; the reason is shown
        raise UserError(
            f"The weights in {folder} cannot be loaded: {one_line(error)}", "Download them again."
        ) from error
    missing = sorted(name for name in told["missing_keys"] if not name.endswith(_MAY_LACK))
    wrong = sorted(str(each[0]) for each in told["mismatched_keys"])
    if missing or wrong:
        parts = f"{len(missing)} are missing" if missing else f"{len(wrong)} have another shape"
        raise UserError(
            f"{folder} does not hold the whole encoder: of its weights {parts} "
            f"({', '.join((missing or wrong)[:3])}).",
            "It must be a wav2vec2, HuBERT, WavLM or data2vec-audio model, with or without a CTC "
            "head. Download it again, or take the model that it was fine-tuned from.",
        )
    if any(name.endswith(_MAY_LACK) for name in told["missing_keys"]):
        torch.nn.init.zeros_(model.masked_spec_embed)
    model.adapter = None
    return model
