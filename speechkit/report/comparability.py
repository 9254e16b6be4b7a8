"""Why a result of ours stands beside a published one but cannot be compared with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from speechkit.report.experiments import Evaluation, Experiment, key, parameters
from speechkit.report.reader import corpus
from speechkit.separation import published
from speechkit.separation.published import Row
from speechkit.workdir import WorkDir
from speechkit.workdir.manifest import read_json

_MEAN_SIZE = 3.6e6  # parameters: between the light (2.6 M) and the full model (5.1 M)


def size_of(network: dict[str, Any]) -> str:
    """``light`` or ``full``: the model of the paper that is nearest in size."""
    return "full" if parameters(network) > _MEAN_SIZE else "light"


def differences_to_paper(
    workdir: WorkDir, one: Experiment, evaluation: Evaluation, row: Row, size: str
) -> list[str]:
    """What was otherwise than in the paper; empty if the numbers can be compared.

    Args:
        workdir: the working directory.
        one: our experiment.
        evaluation: of it.
        row: the published one.
        size: ``light`` or ``full``.
    """
    found = [*_data(workdir, one, evaluation)]
    if one.seeds:
        found += [*_network(one, size), *_run(one)]
    else:
        found.append("how it was trained is not known")
    training = one.settings_of(evaluation)
    if training is not None and training != row.training:
        ours, theirs = training.named(), row.training.named()
        other = [
            f"{name} {_shown(ours[name])} not {_shown(value)}"
            for name, value in theirs.items()
            if ours[name] != value
        ]
        found.append(f"trained otherwise than its name says ({', '.join(other)})")
    return found


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value in (None, "") else f"{value:g}" if isinstance(value, float) else value


def _data(workdir: WorkDir, one: Experiment, evaluation: Evaluation) -> Iterator[str]:
    """Other speech."""
    tested = corpus(workdir, evaluation.set)
    if not tested:
        yield "corpus not known"
    elif tested not in published.CORPORA:
        yield f"other corpus ({tested})"
    trained = corpus(workdir, str(one.seeds[0].training.get("set_name", ""))) if one.seeds else ""
    if trained and trained != tested and not {trained, tested} <= set(published.CORPORA):
        yield f"trained on {trained}"
    header = read_json(workdir.root / "data" / evaluation.set / "mixtures.json")
    if isinstance(header, dict) and header.get("speakers", 2) != 2:
        yield f"{header['speakers']} speakers"
    if tested == "wsj0":
        yield "mixtures of our own, not the published list"


def _network(one: Experiment, size: str) -> Iterator[str]:
    """Another model."""
    from speechkit.separation.conv_tasnet import SIZES

    rate = one.seeds[0].card.get("sample_rate")
    if rate != published.SAMPLE_RATE:
        yield f"{rate} Hz"
    theirs = {**vars(SIZES[size]), "speakers": one.network.get("speakers", 2)}
    if key(one.network) == key(theirs):
        return
    count, their_count = parameters(one.network), parameters(theirs)
    if abs(count - their_count) > 0.005 * their_count:
        yield f"{count / 1e6:.2f} M parameters, not {their_count / 1e6:.2f} M"
        return
    other = sorted(name for name in theirs if one.network.get(name) != theirs[name])
    yield f"other model ({', '.join(other)})"


def _run(one: Experiment) -> Iterator[str]:
    """Another length or manner of training."""
    training = one.seeds[0].training
    epochs = sorted({len(seed.log.get("epoch", ())) for seed in one.seeds})
    shown = str(epochs[-1]) if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
    if start := training.get("init"):
        yield f"{shown} epochs more from '{start}'"
    elif epochs != [published.EPOCHS]:
        yield f"{shown} epoch{'s' * (shown != '1')}, not {published.EPOCHS}"
    if training.get("epoch_size"):
        yield f"{training['epoch_size']} mixtures an epoch"
    segment = training.get("mixing", {}).get("segment", published.SEGMENT)
    if training.get("dynamic") and segment != published.SEGMENT:
        yield f"segments of {segment:g} s"
    for name, theirs in (("learning_rate", published.LEARNING_RATE), ("clip", published.CLIP)):
        if not start and training.get(name, theirs) != theirs:
            yield f"{name.replace('_', ' ')} {training[name]:g}"
