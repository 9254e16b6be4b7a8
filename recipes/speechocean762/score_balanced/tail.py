"""How many badly said phones and words two experiments find at the same precision.

    python recipes/speechocean762/score_balanced/tail.py WORKDIR BASELINE NAME [--set test]

The lowest predictions are called bad, as many as leave the precision at 65 % (phones that people
gave .5 of 2 or less) or 60 % (words of 5 of 10 or less). Printed are the recalls, mean and standard
deviation over the seeds, and their difference with the 95 % interval of a bootstrap over speakers.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from speechkit.phone_features import dataset
from speechkit.pronunciation import model_folder
from speechkit.pronunciation.config import EvaluationConfig
from speechkit.pronunciation.evaluate import features_of
from speechkit.task import trained
from speechkit.workdir import WorkDir

BAD = {"phone_accuracy": (0.5, 0.65), "word_accuracy": (1.0, 0.6)}  # of 2; precision
DRAWS = 300


def recall(bad: np.ndarray, scores: np.ndarray, precision: float) -> float:
    """Share of the bad items among as many lowest scores as have the precision."""
    found = np.cumsum(bad[np.argsort(scores, kind="stable")])
    enough = np.flatnonzero(found / np.arange(1, len(bad) + 1) >= precision)
    return float(found[enough[-1]] / bad.sum()) if len(enough) else 0.0


def recalls(bad: np.ndarray, scores: np.ndarray, precision: float) -> np.ndarray:
    """Of each seed; scores ``[S, n]``."""
    return np.array([recall(bad, of_seed, precision) for of_seed in scores])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workdir", type=Path)
    parser.add_argument("names", nargs=2)
    parser.add_argument("--set", default="test")
    args = parser.parse_args()
    work, predicted = WorkDir(args.workdir), []
    for name in args.names:
        folders = [folder for _, folder in trained.find(work, "pronunciation", name)]
        assessor = model_folder.load(folders)
        gop = features_of(EvaluationConfig(name=name, set=args.set), assessor.card)
        data = dataset.load(work, args.set, gop)
        predicted.append(assessor.predict(data).scores)
    speakers = np.array(data.speakers)[
        np.repeat(np.arange(len(data.utterances)), np.diff(data.first_word))
    ]
    for aspect, (most, precision) in BAD.items():
        labels = data.labels[aspect]
        known = np.flatnonzero(~np.isnan(labels))
        who = (speakers[data.words] if aspect.startswith("phone") else speakers)[known]
        bad, pair = labels[known] <= most + 1e-6, [scores[aspect][:, known] for scores in predicted]
        own = [recalls(bad, scores, precision) for scores in pair]
        of_speaker = {name: np.flatnonzero(who == name) for name in sorted(set(who))}
        draw, names, drawn = np.random.default_rng(0), list(of_speaker), []
        for _ in range(DRAWS):
            kept = np.concatenate([of_speaker[name] for name in draw.choice(names, len(names))])
            one, other = (recalls(bad[kept], scores[:, kept], precision) for scores in pair)
            drawn.append(other.mean() - one.mean())
        low, high = np.quantile(drawn, (0.025, 0.975))
        said = ", ".join(
            f"{n} {r.mean():.3f} ± {r.std(ddof=1):.3f}"
            for n, r in zip(args.names, own, strict=True)
        )
        print(
            f"{aspect}: {bad.sum()} bad, recall at a precision of {precision:g}: {said}; "
            f"difference {own[1].mean() - own[0].mean():+.3f} [{low:+.3f}, {high:+.3f}]"
        )


if __name__ == "__main__":
    main()
