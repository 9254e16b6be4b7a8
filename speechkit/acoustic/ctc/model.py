"""CTC models of Hugging Face and torchaudio whose labels are phones, and bare encoders.

Labels become ARPAbet by name, from IPA, or by a map of the user's.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from speechkit.acoustic.ctc.networks import (
    MAP_FILE,
    TORCHAUDIO,
    BundleNetwork,
    HuggingFaceNetwork,
    Network,
    find_bundle,
    folder_of,
    read_json,
)
from speechkit.acoustic.interface import AcousticModel, Evidence, PhoneInContext
from speechkit.acoustic.lexicon.g2p import IPA_TO_ARPABET
from speechkit.base.errors import UserError
from speechkit.base.text import read_lines
from speechkit.labels.phones import ARPABET, NOISE, SILENCE, kaldi_name, pure

LEAST = 30
"""Of the 39 phones: a vocabulary with names for fewer is taken for another kind of labels."""

BOUNDARIES = {"|", " ", "▁", "<space>", "<wb>", "<unvoiced>"}
_SPECIAL = re.compile(r"<.*>|\[.*\]|")
_EXTRA = {
    **{"g": "G", "ɫ": "L", "ɑɹ": "AA", "oː": "AO", "eː": "EY", "ɪə": "IH", "ʉ": "UW", "ɝ": "ER"},
    **{"əʊ": "OW", "ɐ": "AH", "ʍ": "W", "t͡ʃ": "CH", "d͡ʒ": "JH", "ɻ": "R", "iːː": "IY"},
    **{"ɕ": "SH", "ʂ": "SH", "ʑ": "ZH", "ʐ": "ZH", "tɕ": "CH", "dʑ": "JH", "β": "V", "ç": "HH"},
}
_TIE = str.maketrans("", "", "͜͡")
_REMEDY = (
    "Phones are scored with a model of phones, e.g. hf:facebook/wav2vec2-lv-60-espeak-cv-ft, or "
    "give a file of lines 'LABEL PHONE' (ARPAbet) as ',map=FILE' after the model's name."
)
BLANK = "<blank>"


def to_arpabet(labels: Sequence[str], file: Path | None = None) -> list[str]:
    """What each label of a model stands for: an ARPAbet phone, ``SIL`` or ``SPN``.

    Args:
        labels: the model's own; ARPAbet with or without stress in any case, or IPA as
            espeak-ng writes it.
        file: lines ``LABEL PHONE`` of the user's, which go before everything.

    Raises:
        UserError: the labels are letters or otherwise no phones, or the file is broken.
    """
    own = read_map(file, labels) if file else {}
    by_name = {label: _by_name(label) for label in labels}
    by_sound = {label: _by_sound(label) for label in labels}
    table = max((by_name, by_sound), key=lambda t: len(_phones(t.values())))
    found = [own.get(label) or table[label] for label in labels]
    count = len(_phones(found))
    if count < LEAST and not own:
        raise UserError(_not_phones(labels, count), _REMEDY)
    return found


def _not_phones(labels: Sequence[str], count: int) -> str:
    letters = [label for label in labels if len(label) == 1 and label.isascii() and label.isalpha()]
    if len(letters) >= 20 and len(set(map(str.upper, letters))) >= 20:
        return (
            f"The model writes letters ({' '.join(letters[:6])} ...), not phones: a letter is "
            "said in many ways."
        )
    some = " ".join(label for label in labels if not _SPECIAL.fullmatch(label))[:60]
    return f"Of the model's {len(labels)} labels only {count} are English phones ({some} ...)."


def _phones(names: object) -> set[str]:
    return set(names) & set(ARPABET)  # type: ignore[call-overload]


def _by_name(label: str) -> str:
    if label.strip() in BOUNDARIES or label in BOUNDARIES:
        return SILENCE
    return NOISE if _SPECIAL.fullmatch(label) else kaldi_name(label)


def _by_sound(label: str) -> str:
    """An IPA symbol without stress, length, tone and ties; sounds English has not are SPN."""
    if label.strip() in BOUNDARIES or label in BOUNDARIES:
        return SILENCE
    plain = label.strip().strip("ˈˌ'").translate(_TIE)
    bare = "".join(
        c
        for c in unicodedata.normalize("NFD", plain)
        if not unicodedata.combining(c) and c not in "ːˑʰʲʷˠˤʼ0123456789"
    )
    for symbol in (label, plain, bare):
        phones = (_EXTRA.get(symbol) or IPA_TO_ARPABET.get(symbol) or "").split()
        if len(phones) == 1:
            return phones[0]
    return NOISE if kaldi_name(label) != SILENCE else SILENCE


def read_map(file: Path, labels: Sequence[str]) -> dict[str, str]:
    """Label -> phone of a file of lines ``LABEL PHONE``.

    Raises:
        UserError: it cannot be read, a line is broken, or names no label of the model.
    """
    table: dict[str, str] = {}
    for number, line in enumerate(read_lines(file), 1):
        fields = line.split()
        if not fields:
            continue
        phone = pure(fields[-1])
        if len(fields) != 2 or phone not in (*ARPABET, SILENCE, NOISE):
            raise UserError(
                f"{file}:{number}: expected 'LABEL PHONE', found '{line}'.",
                f"Phones: {', '.join(ARPABET)}, {SILENCE}, {NOISE}.",
            )
        if fields[0] not in labels:
            raise UserError(f"{file}:{number}: the model has no label '{fields[0]}'.")
        table[fields[0]] = phone
    return table


class NetworkModel(AcousticModel):
    """What is the same of all models of a :class:`Network`."""

    def __init__(self, network: Network) -> None:
        self._network, self.name = network, network.name
        self.sample_rate, self.frame_shift = network.sample_rate, network.frame_shift
        self.hidden_layer, self.hidden_width = network.hidden


class CtcModel(NetworkModel):
    """A network whose labels stand for phones, blank and nothing else.

    The evidence has a column for the blank, for each ARPAbet phone that some label stands for,
    and ``SPN`` for the rest (sounds that English has not, special tokens). Labels of one
    column are summed in probability; those for silence and word boundaries count as blank.

    Args:
        network: samples to logits.
        vocabulary: the V labels.
        stands_for: the phone of each (see :func:`to_arpabet`).
        blank: index of the blank in the vocabulary.
    """

    topology = "ctc"
    blank = 0

    def __init__(
        self, network: Network, vocabulary: Sequence[str], stands_for: Sequence[str], blank: int
    ) -> None:
        super().__init__(network)
        names = [BLANK if phone == SILENCE else phone for phone in stands_for]
        names[blank] = BLANK
        self.labels = (BLANK, *(p for p in (*ARPABET, NOISE) if p in names))
        self._columns = np.array([self.labels.index(name) for name in names])
        self.label_map = dict(zip(vocabulary, names, strict=True))
        text = json.dumps([network.fingerprint, sorted(self.label_map.items())])
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
            raise self.phone_error(phone.phone)
        return (self.labels.index(name),)


class EncoderModel(NetworkModel):
    """Frames of hidden features, and neither labels nor posteriors.

    Where another model aligns, nothing but hidden features is asked of a model: then it may be
    a bare wav2vec2, HuBERT or WavLM, or a CTC model that writes letters.
    """

    labels = ()

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.fingerprint = f"encoder-{network.fingerprint}"

    def evidence(self, samples: np.ndarray) -> Evidence:
        """Evidence of mono samples ``[N]``, its posteriors of no label ``[T, 0]``.

        Raises:
            UserError: the audio is too short for the network.
        """
        _, hidden = self._network(np.asarray(samples, dtype=np.float32))
        assert hidden is not None
        nothing = hidden.new_zeros(len(hidden), 0)
        return Evidence(nothing, nothing, hidden)

    def state_ids(self, phone: PhoneInContext) -> tuple[int, ...]:
        raise UserError(
            f"The encoder {self.name} knows no phones.",
            "Name a model that finds them with `align_with`, e.g. sphinx.",
        )


def load_ctc(spec: str, device: str = "cpu", *, hidden: bool | int = False) -> CtcModel:
    """A CTC model by folder, ``hf:OWNER/NAME`` (or ``hf:FOLDER``) or ``torchaudio:BUNDLE``.

    A map of its labels may follow as ``,map=FILE``; a file ``arpabet.txt`` in a folder is one.

    Args:
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
        bundle = find_bundle(name, "Wav2Vec2ASRBundle", "CTC ")
        vocabulary = [str(label) for label in bundle.get_labels()]
        blank = vocabulary.index("-")
        load: Callable[..., Network] = partial(BundleNetwork, bundle)
    else:
        folder = folder_of(name)
        vocabulary, blank = _read_vocabulary(folder)
        load = partial(HuggingFaceNetwork, folder)
        if map_file is None and (folder / MAP_FILE).is_file():
            map_file = folder / MAP_FILE
    phones = to_arpabet(vocabulary, map_file)  # before a gigabyte is loaded for letters
    return CtcModel(load(name, device, hidden), vocabulary, phones, blank)


def _read_vocabulary(folder: Path) -> tuple[list[str], int]:
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


def load_encoder(spec: str, device: str = "cpu", hidden: bool | int = True) -> EncoderModel:
    """An encoder by folder, ``hf:OWNER/NAME`` (or ``hf:FOLDER``) or ``torchaudio:BUNDLE``.

    Args:
        spec: which; a map of labels behind it (``,map=FILE``) does not matter.
        device: cpu or cuda; evidence is on the CPU.
        hidden: the layer: True for the last, or its number from 1.

    Raises:
        UserError: it is not found or cannot be loaded, or has no such layer.
        MissingDependency: transformers is not installed.
    """
    name = spec.partition(",map=")[0]
    if name.startswith(TORCHAUDIO):
        bundle = find_bundle(name, "Wav2Vec2Bundle")
        return EncoderModel(BundleNetwork(bundle, name, device, hidden, head=False))
    return EncoderModel(HuggingFaceNetwork(folder_of(name), name, device, hidden, head=False))
