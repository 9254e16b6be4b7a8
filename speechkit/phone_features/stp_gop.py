"""GOP with the transition probabilities of the HMM ("STP-GOP").

Sudhakara, Ramanathi, Yarra and Ghosh, "An improved goodness of pronunciation (GoP) measure for
pronunciation evaluation with DNN-HMM system considering HMM transition probabilities",
Interspeech 2019. Of a phone that is aligned to the N frames o_1 ... o_N along the states
s_1 ... s_N::

    STP-GOP = 1/N [ sum over t = 1..N   of log P(s_t | o_t)
                  + sum over t = 1..N-1 of log P(s_t+1 | s_t)
                  + (N - 1) log S ]

P(s | o) is the posterior of a senone (a state of the acoustic model), P(s_t+1 | s_t) the
probability of staying in the state or of leaving it for the next, and S the number of senones:
the last term stands for senones that are equally likely beforehand, 1/S each. How the phone
is entered and left does not count. The formula is that of the program which the authors
published (there the frames of a phone are put in the order of their transitions first, an
order of Kaldi's numbering; here they stay as they are).

Here a senone is a plain state, ``3 * label + state``, of the S = 3 C of a model with C labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from speechkit.base.errors import ConfigError
from speechkit.phone_features.gop import LOG_FLOOR, as_array

COLUMN = "stp_gop"
TRANSITION_FLOOR = 1e-4  # as in Sphinx: a transition that training never saw is not impossible


def stp_gop(
    state_logs: Any,
    transitions: np.ndarray,
    states: np.ndarray | Sequence[int],
    starts: np.ndarray,
    ends: np.ndarray,
) -> np.ndarray:
    """STP-GOP of each phone, float64 ``[P]``; higher is better, and it may exceed 0.

    Args:
        state_logs: log P(state | frame) ``[T, S]``, array or tensor.
        transitions: P(stay) and P(leave) of each state ``[S, 2]``.
        states: the state of each frame ``[T]``.
        starts: first frame of each phone ``[P]``.
        ends: the frame after its last ``[P]``.
    """
    logs = as_array(state_logs)
    path = np.asarray(states, dtype=np.int64)
    emitted = np.maximum(logs[np.arange(len(path)), path], LOG_FLOOR)
    steps = np.log(np.maximum(transitions, TRANSITION_FLOOR))
    moves = steps[path[:-1], (path[1:] != path[:-1]).astype(np.int64)]
    emission = np.concatenate([[0.0], np.cumsum(emitted)])
    transition = np.concatenate([[0.0], np.cumsum(moves)])
    counts = ends - starts
    sums = emission[ends] - emission[starts] + transition[ends - 1] - transition[starts]
    return (sums + (counts - 1) * math.log(logs.shape[1])) / counts


def transitions_of(model: Any) -> np.ndarray:
    """Transition probabilities ``[S, 2]`` of an acoustic model.

    Raises:
        UserError: it has none.
    """
    found = model.transition_probabilities() if model.topology == "hmm" else None
    if found is None:
        why = "has no states" if model.topology == "ctc" else "does not know them"
        raise ConfigError(
            "stp",
            f"needs transition probabilities, and the acoustic model {model.name} {why}.",
            "Take `am` sphinx, or train the model again with `speechkit train acoustic`.",
        )
    return np.asarray(found, dtype=np.float64)
