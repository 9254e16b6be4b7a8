"""Scorers with random weights in the folders of trained ones, for tests."""

from __future__ import annotations

from speechkit.scoring import model_folder
from speechkit.scoring.data import ScoringSet
from speechkit.scoring.models import ScorerConfig, build
from speechkit.training.weights import write_weights


def write_scorers(root, features, columns, name="tiny", seeds=(0, 1), kind="attention", **flags):
    """``exp/scoring/<name>/seed<N>`` of features with that ``features.json``; returns its folder.

    Args:
        root: the working directory.
        features: content of ``features.json``.
        columns: that the scorer reads.
        name: of the experiment.
        seeds: of the scorers.
        kind: of the network.
        flags: of ``train scoring``.
    """
    config = ScorerConfig(columns, kind)
    found = ScoringSet(target="total", scale=(1.0, 5.0), features_of=[features])
    folder = root / "exp" / "scoring" / name
    training = {"model": kind, "input": "gop-vector", "features": "", **flags}
    for seed in seeds:
        target = folder / f"seed{seed}"
        target.mkdir(parents=True)
        net = build(config, [seed])
        weights = {key: 3 * value[0] for key, value in net.state_dict().items()}  # further apart
        weights["std"] = net.std[0]
        model_folder.write(target, model_folder.make_card(config, found, seed, training), [])
        write_weights(target / model_folder.WEIGHTS, weights)
    return folder
