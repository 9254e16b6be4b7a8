"""CTC models of Hugging Face and torchaudio whose labels are phones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.acoustic.base import AcousticModel, Evidence, PhoneInContext
from speechkit.acoustic.ctc.label_maps import to_arpabet
from speechkit.acoustic.ctc.networks import BundleNetwork, HuggingFaceNetwork, Network
from speechkit.base import hub, schema
from speechkit.base.errors import UserError, closest
from speechkit.labels.phones import ARPABET, NOISE, SILENCE, pure

BLANK = "<blank>"
MAP_FILE = "arpabet.txt"
_FILES = ["*.json", "*.safetensors", "pytorch_model*.bin", MAP_FILE]
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
TORCHAUDIO = "torchaudio:"
_SAMPLES = 64  # pieces of a weights file that its fingerprint reads
_PIECE = 1 << 16  # bytes


class CtcModel(AcousticModel):
    """A network whose labels stand for phones, blank and nothing else.

    The evidence has a column for the blank, for each ARPAbet phone that some label stands for,
    and ``SPN`` for the rest (sounds that English has not, special tokens). Labels of one
    column are summed in probability; those for silence and word boundaries count as blank.

    Args:
        name: of the model.
        network: samples to logits.
        vocabulary: the V labels.
        blank: index of the blank in the vocabulary.
        sample_rate: in Hz.
        frame_shift: in seconds.
        fingerprint: of weights and preprocessing.
        map_file: lines ``LABEL PHONE`` of the user's.
        hidden: number and width of the layer whose features the network gives; (0, 0): none.

    Raises:
        UserError: the labels are no phones.
    """

    topology = "ctc"
    blank = 0

    def __init__(
        self,
        name: str,
        network: Network,
        vocabulary: Sequence[str],
        blank: int,
        sample_rate: int,
        frame_shift: float,
        fingerprint: str,
        map_file: Path | None = None,
        hidden: tuple[int, int] = (0, 0),
    ) -> None:
        self.name, self._network = name, network
        self.hidden_layer, self.hidden_width = hidden
        self.sample_rate, self.frame_shift = sample_rate, frame_shift
        stands_for = to_arpabet([*vocabulary], map_file)
        stands_for = [BLANK if p == SILENCE else p for p in stands_for]
        stands_for[blank] = BLANK
        have = set(stands_for)
        self.labels = (BLANK, *(p for p in (*ARPABET, NOISE) if p in have))
        self._columns = np.array([self.labels.index(p) for p in stands_for])
        self.label_map = dict(zip(vocabulary, stands_for, strict=True))
        text = json.dumps([fingerprint, sorted(self.label_map.items())])
        self.fingerprint = f"ctc-{hashlib.sha256(text.encode()).hexdigest()[:32]}"

    def evidence(self, samples: np.ndarray) -> Evidence:
        """Evidence of mono samples ``[N]`` in -1..1 at ``sample_rate``.

        Raises:
            UserError: the audio is too short for the network.
        """
        import torch

        logits, hidden = self._network(np.asarray(samples, dtype=np.float32))
        probabilities = logits.double().softmax(-1)
        columns = torch.from_numpy(self._columns).to(logits.device)
        sums = probabilities.new_zeros(len(logits), len(self.labels))
        sums.index_add_(1, columns, probabilities)
        logs = sums.clamp(min=1e-45).log().float().cpu()
        return Evidence(logs, logs, hidden)

    def state_ids(self, phone: PhoneInContext) -> tuple[int, ...]:
        name = pure(phone.phone)
        if name == SILENCE:
            return (self.blank,)
        if name not in self.labels:
            raise UserError(
                f"The acoustic model {self.name} has no phone '{phone.phone}'.",
                f"It has: {', '.join(self.labels[1:])}.",
            )
        return (self.labels.index(name),)


def load_ctc(spec: str, device: str = "cpu", *, hidden: bool | int = False) -> CtcModel:
    """A CTC model by folder, ``hf:OWNER/NAME`` (or ``hf:FOLDER``) or ``torchaudio:BUNDLE``.

    A map of its labels may follow as ``,map=FILE``; a file ``arpabet.txt`` in a folder is one.

    Args:
        spec: which model.
        device: cpu or cuda; evidence is on the CPU.
        hidden: evidence has a layer's features too: True for the last, or its number from 1
            (the layers of the transformer; its input is none).

    Raises:
        UserError: it is not found, cannot be fetched, or its labels are no phones.
        MissingDependency: transformers is not installed.
    """
    name, option, file = spec.partition(",map=")
    map_file = Path(file) if option else None
    if name.startswith(TORCHAUDIO):
        return _load_bundle(name.removeprefix(TORCHAUDIO), device, map_file, hidden)
    return _load_folder(folder_of(name), name, device, map_file, hidden)


def folder_of(name: str) -> Path:
    """The folder of a Hugging Face model: itself, or one fetched from the hub.

    Raises:
        UserError: it is neither there nor on the hub, or cannot be fetched.
    """
    name = name.removeprefix(hub.PREFIX)
    if Path(name).is_dir():
        return Path(name)
    if not hub.is_repository(name):
        raise UserError(
            f"'{name}' is neither a folder nor a model of the Hugging Face hub.",
            "Expected hf:OWNER/NAME.",
        )
    return hub.fetch(name, _FILES, "am", check="config.json")


def _load_folder(
    folder: Path, name: str, device: str, map_file: Path | None, hidden: bool | int
) -> CtcModel:
    vocabulary, blank = _read_card(folder)
    front = read_json(folder / "preprocessor_config.json", optional=True)
    rate = int(front.get("sampling_rate", 16_000))
    if map_file is None and (folder / MAP_FILE).is_file():
        map_file = folder / MAP_FILE
    to_arpabet(vocabulary, map_file)  # before a gigabyte is loaded for letters
    network = HuggingFaceNetwork(folder, device, front, hidden)
    return CtcModel(
        name,
        network,
        vocabulary,
        blank,
        rate,
        network.ratio / rate,
        fingerprint(folder),
        map_file,
        network.hidden,
    )


def _read_card(folder: Path) -> tuple[list[str], int]:
    """Labels in order, and the blank among them."""
    config = read_json(folder / "config.json")
    table = read_json(folder / "vocab.json")
    if any(isinstance(ids, dict) for ids in table.values()):
        table = next(iter(table.values()))  # of the first language of several
    size = int(config.get("vocab_size", len(table)))
    try:
        names = {int(number): str(label) for label, number in table.items()}
        blank = int(config.get("pad_token_id", 0))
        if not 0 <= blank < size or max(names) >= size:
            raise ValueError(f"labels up to {max(names)} and blank {blank} of {size}")
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{folder / 'vocab.json'} is not a table of labels ({error}).") from error
    return [names.get(number, "<unk>") for number in range(size)], blank


def read_json(path: Path, optional: bool = False) -> dict[str, Any]:
    """A JSON object of a file; an empty one where an optional file is not there.

    Raises:
        UserError: it is missing or damaged.
    """
    if optional and not path.is_file():
        return {}
    remedy = "A CTC model of Hugging Face has config.json, vocab.json and its weights."
    return schema.read_json(path, schema.Object, remedy)


def fingerprint(folder: Path) -> str:
    """SHA-256 of the configuration and of pieces all over the weights.

    A gigabyte is not read for it: of each file its size and 64 pieces of 64 KiB count.
    """
    digest = hashlib.sha256()
    for name in ("config.json", "vocab.json", "preprocessor_config.json"):
        if (folder / name).is_file():
            digest.update((folder / name).read_bytes())
    for path in sorted(p for pattern in _WEIGHTS for p in folder.glob(pattern)):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            for start in np.linspace(0, max(0, size - _PIECE), _SAMPLES).astype(int):
                file.seek(int(start))
                digest.update(file.read(_PIECE))
    return digest.hexdigest()


def _load_bundle(name: str, device: str, map_file: Path | None, hidden: bool | int) -> CtcModel:
    bundle = find_bundle(name, "Wav2Vec2ASRBundle", "CTC ")
    vocabulary = [str(label) for label in bundle.get_labels()]
    to_arpabet(vocabulary, map_file)
    model = bundle_model(bundle, name, device)
    network = BundleNetwork(model, f"{TORCHAUDIO}{name}", device, hidden, int(bundle.sample_rate))
    return CtcModel(
        f"torchaudio:{name}",
        network,
        vocabulary,
        vocabulary.index("-"),
        int(bundle.sample_rate),
        320 / bundle.sample_rate,
        f"torchaudio-{name}",
        map_file,
        network.hidden,
    )


def find_bundle(name: str, kind: str, what: str = "") -> Any:
    """A bundle of torchaudio by its name.

    Args:
        name: of the bundle.
        kind: its class in ``torchaudio.pipelines``.
        what: messages put before "bundle".

    Raises:
        UserError: there is none.
    """
    from torchaudio import pipelines

    bundles = {n: getattr(pipelines, n) for n in dir(pipelines)}
    bundles = {n: b for n, b in bundles.items() if isinstance(b, getattr(pipelines, kind))}
    if name not in bundles:
        raise UserError(
            f"torchaudio has no {what}bundle '{name}'.{closest(name, bundles)}",
            f"Bundles: {', '.join(bundles)}.",
        )
    return bundles[name]


def bundle_model(bundle: Any, name: str, device: str) -> Any:
    """The network of a torchaudio bundle.

    Raises:
        UserError: it could not be fetched.
    """
    try:
        return bundle.get_model().eval().to(device)
    except OSError as error:
        raise UserError(
            f"The bundle '{name}' could not be fetched: {error}.",
            "Where there is a network, torchaudio keeps it in ~/.cache/torch/hub; copy it here.",
        ) from error
