"""Kaldi's 84 features against plain loops over frames and phones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from speechkit.acoustic.interface import Evidence
from speechkit.base.errors import UserError
from speechkit.labels.phones import ARPABET, KALDI_PHONES
from speechkit.phone_features.gop import (
    COLUMNS,
    LOG_FLOOR,
    canonical_ids,
    phone_log_posteriors,
    scalar_gop,
    segment_features,
    segment_means,
)

LABELS = ("SIL", "+NSN+", "AH0", "AH1", "K", "T", "AE")
SEGMENTS = [("K", 2, 5), ("AE1", 5, 9), ("T", 9, 10), ("T", 10, 14), ("AH0", 16, 20)]


def evidence(frames: int = 20, labels: int = len(LABELS), seed: int = 0) -> Evidence:
    logs = torch.randn(frames, labels, generator=torch.Generator().manual_seed(seed))
    logs = (3 * logs).log_softmax(-1)
    return Evidence(logs, logs)


def features_of(found: Evidence, segments=SEGMENTS, labels=LABELS) -> np.ndarray:
    logs = phone_log_posteriors(found.log_posteriors, labels)
    phones, starts, ends = zip(*segments, strict=True)
    ids = canonical_ids(phones, labels)
    return segment_features(logs, np.array(starts), np.array(ends), ids)


def by_loops(logs: np.ndarray) -> list[list[float]]:
    """Rows of LPP and LPR as the formula reads, one number at a time."""
    members = {"SIL": [0], "SPN": [1], "AH": [2, 3], "K": [4], "T": [5], "AE": [6]}
    rows = []
    for phone, start, end in SEGMENTS:
        lpp = {}
        for name, columns in members.items():
            total = 0.0
            for t in range(start, end):
                total += math.log(sum(math.exp(logs[t][c]) for c in columns))
            lpp[name] = total / (end - start)
        own = lpp[phone.rstrip("012")]
        rows.append(
            [lpp.get(k, LOG_FLOOR) for k in KALDI_PHONES]
            + [own - lpp[k] if k in lpp else 0.0 for k in KALDI_PHONES]
        )
    return rows


def test_equal_to_the_loops():
    found = evidence()
    features = features_of(found)
    assert features.shape == (5, len(COLUMNS)) == (5, 84)
    expected = np.array(by_loops(found.log_posteriors.double().tolist()))
    np.testing.assert_allclose(features, expected, rtol=1e-9, atol=1e-9)


def test_scalar_gop_is_the_distance_to_the_best_phone():
    features = features_of(evidence())
    ids = canonical_ids([phone for phone, *_ in SEGMENTS], LABELS)
    own, gop = scalar_gop(features, ids)
    for row, number, lpp, score in zip(features, ids, own, gop, strict=True):
        assert lpp == row[number]
        assert score == row[number] - max(row[:42])
    assert (gop <= 0).all() and (gop == 0).any()


def test_frames_after_the_segments_change_nothing():
    short, long = evidence(20), evidence(20)
    padded = torch.cat([long.log_posteriors, torch.randn(30, len(LABELS)).log_softmax(-1)])
    np.testing.assert_allclose(
        features_of(short),
        features_of(Evidence(padded, padded)),
    )


def test_blank_is_left_out_and_the_rest_divided_by_its_sum():
    logs = np.log([[0.9, 0.06, 0.04], [0.2, 0.2, 0.6]])
    found = phone_log_posteriors(logs, ["<pad>", "AA", "ZH"], blank=0)
    columns = [KALDI_PHONES.index("AA"), KALDI_PHONES.index("ZH")]
    np.testing.assert_allclose(np.exp(found[:, columns]), [[0.6, 0.4], [0.25, 0.75]])
    assert (found[:, :3] == LOG_FLOOR).all()


def test_impossible_frames_are_floored():
    logs = torch.tensor([[0.0, -math.inf], [0.0, -math.inf]])
    features = features_of(Evidence(logs, logs), [("T", 0, 2)], ["K", "T"])
    assert np.isfinite(features).all()
    assert features[0, KALDI_PHONES.index("T")] == LOG_FLOOR


def test_a_phone_that_the_model_lacks_is_named():
    with pytest.raises(UserError, match=r"model tiny has no phone ZH.*K T"):
        canonical_ids(["K", "ZH"], ["K", "T"], "tiny")
    assert canonical_ids(["AH0_B"], ARPABET).tolist() == [KALDI_PHONES.index("AH")]


@pytest.mark.parametrize(("start", "end"), [(3, 3), (-1, 2), (4, 9)])
def test_segments_outside_the_frames_are_our_bug(start, end):
    with pytest.raises(ValueError, match="inside the frames"):
        segment_means(np.zeros((8, 2)), np.array([start]), np.array([end]))
