"""The one interface of acoustic models: GOP, alignment and deep features know no other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from speechkit.base.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

States = tuple[int, ...]
Costs = tuple[tuple[float, float], ...]
"""Of states: the columns of their scores, and log probabilities (stay, move on) of each."""


@dataclass(frozen=True)
class Evidence:
    """What a model says of one recording of T frames.

    Args:
        log_posteriors: ``[T, C]``, log P(label | frame); each row sums to one over the labels.
        state_scores: ``[T, S]``, log-likelihood of every HMM state up to a constant of the
            frame (``hmm``), or the same tensor as ``log_posteriors`` (``ctc``).
        hidden: ``[T, D]`` hidden features, where the model has them.
    """

    log_posteriors: Tensor
    state_scores: Tensor
    hidden: Tensor | None = None

    @property
    def frames(self) -> int:
        return len(self.log_posteriors)


@dataclass(frozen=True)
class PhoneInContext:
    """One phone of an alignment graph.

    Args:
        phone: without stress and position; ``SIL`` between words.
        left: the phone before it (``SIL`` at a pause or an end).
        right: the phone after it.
        position: in its word: ``B`` first, ``I`` inside, ``E`` last, ``S`` the only one.
    """

    phone: str
    left: str = "SIL"
    right: str = "SIL"
    position: str = "I"


class AcousticModel(ABC):
    """Frames of audio in, evidence out.

    Attributes:
        name: how messages call it.
        labels: the C columns of ``log_posteriors``.
        frame_shift: in seconds.
        sample_rate: of the audio it takes, in Hz.
        topology: ``hmm`` (every phone is a left-to-right chain of states) or ``ctc`` (one
            label a phone, blanks between).
        blank: column of the blank label (``ctc``), else None.
        fingerprint: changes whenever anything that could change the evidence changes.
        hidden_layer: number, from 1, of the layer whose features the evidence has; 0: none.
        hidden_width: how many features that layer has.
        seen: speakers whom the networks were trained on, as far as that is known.
    """

    name: str
    labels: tuple[str, ...]
    frame_shift: float
    sample_rate: int
    fingerprint: str
    topology: str = "hmm"
    blank: int | None = None
    seen: frozenset[str] = frozenset()
    hidden_layer: int = 0
    hidden_width: int = 0

    def evidence(self, samples: np.ndarray) -> Evidence:
        """Evidence of mono float32 samples ``[N]`` in -1..1 at ``sample_rate``.

        A model has this or :meth:`evidence_many`: each comes of the other.

        Raises:
            UserError: the audio is too short for one frame.
        """
        return self.evidence_many([samples])[0]

    def evidence_many(self, waves: Sequence[np.ndarray]) -> list[Evidence]:
        """Evidence of several recordings; the same as one by one, where possible faster."""
        return [self.evidence(wave) for wave in waves]

    @abstractmethod
    def state_ids(self, phone: PhoneInContext) -> States:
        """Columns of ``state_scores`` that the phone passes through, in order.

        Raises:
            UserError: the model has no such phone (the message names it and the inventory).
        """

    def transition_costs(self, phone: PhoneInContext) -> Costs:
        """Log probabilities (stay, move on) of each of its states; zeros if not modelled."""
        return tuple((0.0, 0.0) for _ in self.state_ids(phone))

    def phone_without_context(self, label: str) -> tuple[States, Costs]:
        """States and costs of a label, as :meth:`state_ids` and :meth:`transition_costs` give
        them, where its neighbours are not known.

        Args:
            label: one of ``labels``, also of a noise.
        """
        phone = PhoneInContext(label)
        return self.state_ids(phone), self.transition_costs(phone)

    def transition_probabilities(self) -> np.ndarray | None:
        """P(stay) and P(leave) of every plain state, float64 ``[3 C, 2]``; None if unknown.

        For scores that use them (STP-GOP); alignment goes by :meth:`transition_costs`.
        """
        return None

    def for_speaker(self, speaker: str | None) -> AcousticModel:
        """The model for recordings of a speaker.

        A cross-fitted model gives the networks that have not seen the speaker, any other itself.

        Args:
            speaker: by name; None for someone unknown.
        """
        return self

    def for_utterance(self, utterance: str) -> AcousticModel:
        """The model for one recording: posteriors from an archive are looked up by its id.

        Raises:
            UserError: there are none of it.
        """
        return self

    def with_hidden(self) -> AcousticModel:
        """The model whose hidden features have the same axes whoever speaks.

        Raises:
            UserError: it has none.
        """
        if not self.hidden_layer:
            raise self.hidden_error()
        return self

    def phone_error(self, phone: str) -> UserError:
        """That it has no such phone."""
        labels = ", ".join(label for n, label in enumerate(self.labels) if n != self.blank)
        return UserError(
            f"The acoustic model {self.name} has no phone '{phone}'.", f"It has: {labels}."
        )

    def hidden_error(self) -> UserError:
        """Why evidence has no hidden features, for those who asked for them."""
        return UserError(
            f"The acoustic model {self.name} has no hidden features.",
            "Take a model of `train acoustic`, or a CTC model.",
        )

    def state_log_posteriors(self, evidence: Evidence) -> Tensor:
        """log P(state | frame) of all plain states ``[T, 3 C]``, of models with states (``hmm``).

        Here of models without context, whose states are equally likely beforehand.
        """
        return evidence.state_scores.log_softmax(-1)

    def plain_state(self, state: int) -> int:
        """Context-independent state id ``3 * label + state`` of a column of ``state_scores``."""
        return state


def layer_number(wanted: bool | int, last: int, model: str) -> int:
    """A hidden layer by its number from 1; True is the last.

    Args:
        model: its name, for the message.

    Raises:
        UserError: there is none of this number.
    """
    number = last if wanted is True else int(wanted)
    if not 1 <= number <= last:
        raise UserError(
            f"The acoustic model {model} has no hidden layer {number}.",
            f"It has {last}, counted from the input: `layer` 1 to {last}.",
        )
    return number


def summed_columns(probabilities: np.ndarray, columns: np.ndarray, count: int) -> np.ndarray:
    """Probabilities ``[T, C]`` of labels, those of one column summed: ``[T, count]``.

    Args:
        probabilities: of the C labels.
        columns: of each label ``[C]``.
    """
    sums = np.zeros((len(probabilities), count))
    for column in np.unique(columns):
        sums[:, column] = probabilities[:, columns == column].sum(1)
    return sums
