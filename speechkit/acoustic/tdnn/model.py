"""The trainable acoustic model: evidence of TDNNs that were trained on folds of speakers."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from speechkit.acoustic.features import SHIFT_S, log_mel
from speechkit.acoustic.interface import AcousticModel, Evidence, PhoneInContext
from speechkit.acoustic.tdnn import folder as tdnn_folder
from speechkit.acoustic.tdnn.folder import Card
from speechkit.acoustic.tdnn.network import STATES, Tdnn, run_stream
from speechkit.base.errors import UserError
from speechkit.labels.phones import NOISE, kaldi_name, pure


class TdnnModel(AcousticModel):
    """Networks of one training, one for each fold of speakers and perhaps one of all.

    Evidence of a recording is that of the members; several are averaged as log posteriors of
    states, renormalised (the geometric mean: a phone is likely where all members say so).
    State scores are the log posteriors less ``prior_scale`` times the members' mean log
    prior. Hidden features exist only where one network scores new speakers, and are its own:
    those of two networks have unrelated axes, so a training speaker whom a network of the
    folds scores has none.

    Args:
        name: of the model.
        networks: ``fold0``, ``fold1`` ..., ``full``: networks in eval mode.
        card: labels, features, weights of the priors, and who scores a new speaker.
        speaker_fold: training speaker -> number of the fold that has not seen it.
        hidden: whether evidence has hidden features: True for those of the last layer, or the
            number of a layer from 1.

    Attributes:
        members: the networks of this view; at first those for an unseen speaker.
        seen: of a view :meth:`with_hidden`: speakers of the folds whom its network has heard.

    Raises:
        UserError: there is no such network or no such layer.
    """

    frame_shift = SHIFT_S

    def __init__(
        self,
        name: str,
        networks: Mapping[str, Tdnn],
        card: Card,
        speaker_fold: Mapping[str, int] | None = None,
        hidden: bool | int = False,
    ) -> None:
        self.name, self.labels, self.fingerprint = name, card.labels, card.fingerprint()
        self.card, self.sample_rate = card, card.features.sample_rate
        self.networks: Mapping[str, Tdnn] = networks
        self.speaker_fold: Mapping[str, int] = speaker_fold or {}
        first = next(iter(networks.values()))
        self.hidden = self.hidden_layer = first.config.layer(hidden) if hidden else 0
        self.hidden_width = first.config.widths[self.hidden - 1] if hidden else 0
        folds = [key for key in networks if key != "full"]
        self._by_default = ["full"] if card.unseen == "full" or not folds else folds
        self.members = self._known(self._by_default)
        self._views: dict[str | None, TdnnModel] = {}
        self._column = _columns(self.labels)

    def _known(self, members: Sequence[str]) -> list[str]:
        if missing := [member for member in members if member not in self.networks]:
            raise UserError(
                f"The acoustic model {self.name} has no network '{missing[0]}'; it has "
                f"{', '.join(self.networks)}.",
                "Train it with `full`, or take the mean of its folds.",
            )
        return list(members)

    @property
    def _comparable(self) -> bool:
        """Whether everyone's hidden features are those of one network."""
        return self.members == self._by_default and len(self.members) == 1

    def for_speaker(self, speaker: str | None) -> TdnnModel:
        """The model that has not seen the speaker; the default members for a new one."""
        fold = self.speaker_fold.get(speaker or "")
        return self.of(None if fold is None else f"fold{fold}")

    def of(self, member: str | None) -> TdnnModel:
        """The model of one network alone; of those for an unseen speaker if it is None.

        Asked again it is the same object, so that recordings of one network are heard together.
        """
        wanted = self._by_default if member is None else [member]
        if wanted == self.members:
            return self
        if member not in self._views:
            view = copy.copy(self)
            view.members = self._known(wanted)
            self._views[member] = view
        return self._views[member]

    def with_hidden(self) -> TdnnModel:
        """The model in which one network hears everyone, also its training speakers.

        Raises:
            UserError: it has no such network, or was loaded without hidden features.
        """
        if not self.hidden or (self._comparable and not self.speaker_fold):
            return super().with_hidden()  # type: ignore[return-value]
        if "full" not in self.networks:
            raise UserError(
                f"The acoustic model {self.name} has {len(self.networks)} networks of folds and "
                "none of all speakers, and hidden features of different networks have "
                "unrelated axes.",
                "Train one network on speakers of its own: `folds` 0 `full`.",
            )
        model = copy.copy(self)
        model.networks, model.members = {"full": self.networks["full"]}, ["full"]
        model._by_default = model.members
        model.speaker_fold, model.seen, model._views = {}, frozenset(self.speaker_fold), {}
        return model

    def evidence_many(self, waves: Sequence[np.ndarray]) -> list[Evidence]:
        with torch.inference_mode():
            return self.evidence_of([log_mel(wave, self.card.features) for wave in waves])

    def evidence_of(self, features: Sequence[Tensor]) -> list[Evidence]:
        """Evidence of feature matrices ``[T, M]`` (see ``log_mel``)."""
        if not features:
            return []
        hidden = self.hidden if self._comparable else 0
        with torch.inference_mode():
            networks = [self.networks[member] for member in self.members]
            runs = [run_stream(n, features, hidden) for n in networks]
            prior = torch.stack([n.log_prior.cpu() for n in networks]).mean(0)
            return [self._combine(members, prior) for members in zip(*runs, strict=True)]

    def _combine(self, members: Sequence[tuple[Tensor, Tensor | None]], prior: Tensor) -> Evidence:
        states = members[0][0]
        if len(members) > 1:
            states = torch.log_softmax(torch.stack([m[0] for m in members]).mean(0), -1)
        labels = states.unflatten(1, (len(self.labels), STATES)).logsumexp(-1)
        return Evidence(labels, states - self.card.prior_scale * prior, members[0][1])

    def transition_probabilities(self) -> np.ndarray | None:
        """Of the training alignment, the mean of the members; None of models without them."""
        found = [self.card.stay[member] for member in self.members if member in self.card.stay]
        if not found:
            return None
        stay = np.mean(found, axis=0, dtype=np.float64)
        return np.stack([stay, 1 - stay], axis=1)

    def state_log_posteriors(self, evidence: Evidence) -> Tensor:
        """As the networks give them: with the priors of the states."""
        priors = [self.networks[member].log_prior.cpu() for member in self.members]
        return evidence.state_scores + self.card.prior_scale * torch.stack(priors).mean(0)

    def hidden_error(self) -> UserError:
        if self._comparable:
            return UserError(f"The acoustic model {self.name} was loaded without hidden features.")
        return UserError(
            f"The acoustic model {self.name} scores this recording by "
            f"{' and '.join(self.members)}, and hidden features of several networks have "
            "unrelated axes.",
            "Take a model of one network: train it with `folds` 0, on other speakers.",
        )

    def state_ids(self, phone: PhoneInContext) -> tuple[int, ...]:
        label = self._column.get(phone.phone, self._column.get(pure(phone.phone)))
        if label is None:
            raise self.phone_error(phone.phone)
        return tuple(range(STATES * label, STATES * label + STATES))


def _columns(labels: Sequence[str]) -> dict[str, int]:
    """Name -> label: its own name, or that of Kaldi's phone which it stands for."""
    columns = {label: number for number, label in enumerate(labels)}
    # Of several noises, the one named after speech noise stands for SPN.
    for label in sorted(labels, key=lambda label: NOISE not in label.upper()):
        columns.setdefault(kaldi_name(label), labels.index(label))
    return columns


def load_tdnn(
    folder: Path,
    device: str | torch.device = "cpu",
    *,
    unseen: str = "",
    prior_scale: float | None = None,
    hidden: bool | int = False,
) -> TdnnModel:
    """The model of a folder that ``train acoustic`` or ``export`` wrote.

    Args:
        folder: ``exp/acoustic/<name>``.
        device: where to compute; evidence is on the CPU.
        unseen: ``mean`` or ``full`` for speakers outside the training set; default as trained.
        prior_scale: weight of the states' prior in their scores; default as trained.
        hidden: evidence has a hidden layer too: True for the last, or its number from 1.

    Raises:
        UserError: the folder is not one, its weights are missing or damaged, or it has no such
            hidden layer.
    """
    card = tdnn_folder.read_card(folder)
    networks = tdnn_folder.read_networks(folder, card, torch.device(device))
    scale = card.prior_scale if prior_scale is None else prior_scale
    card = replace(card, unseen=unseen or card.unseen, prior_scale=scale)
    return TdnnModel(folder.resolve().name, networks, card, tdnn_folder.read_folds(folder), hidden)
