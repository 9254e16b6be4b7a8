"""What ``train acoustic`` reads: sets with their alignments, and a model to start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from speechkit.acoustic.tdnn import folder as tdnn_folder
from speechkit.acoustic.tdnn.data import speaker_folds
from speechkit.acoustic.tdnn.folder import Card
from speechkit.acoustic.tdnn.settings import AcousticConfig
from speechkit.acoustic.tdnn.source import Source, find_source
from speechkit.base.errors import ConfigError, UserError
from speechkit.task.trained import refuse_path
from speechkit.workdir import WorkDir


@dataclass(frozen=True)
class Inputs:
    """The inputs, found but for the alignments themselves not yet read.

    Args:
        sources: the training sets.
        held_out: sets to be measured.
        init: folder of the model to start from, if any.
        init_card: its settings.
    """

    sources: tuple[Source, ...]
    held_out: tuple[Source, ...] = ()
    init: Path | None = None
    init_card: Card | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the aligning models, which all sets share."""
        return self.sources[0].labels

    def files(self) -> list[Path]:
        """Files whose change makes the model out of date."""
        found = [file for source in self._all for file in source.files()]
        if self.init is not None:
            found.append(self.init / tdnn_folder.CARD)
        return found

    def audio_files(self) -> list[Path]:
        """Audio whose change makes the model out of date."""
        return [file for source in self._all for file in source.dataset.audio_files()]

    @property
    def _all(self) -> tuple[Source, ...]:
        return (*self.sources, *self.held_out)

    def folds(self, count: int) -> dict[str, int]:
        """Fold of each speaker of the alignments; all are in fold 0 if there are none.

        Raises:
            UserError: too few speakers, or others than the model to start from knows.
        """
        speakers = [u.speaker for source in self.sources for u in source.aligned()]
        if self.init is not None and count:
            return _same_folds(speakers, self.init, count)
        gender = {s: g for source in self.sources for s, g in source.dataset.gender.items()}
        return speaker_folds(speakers, gender, max(count, 1))

    def after(self, alignments: Sequence[Path], init: Path) -> Inputs:
        """The same with other alignments, and a model to start from."""
        pairs = zip(self.sources, alignments, strict=True)
        sources = tuple(replace(source, alignment=folder) for source, folder in pairs)
        card = tdnn_folder.read_card(init)
        return replace(self, sources=sources, init=init, init_card=card)


def _same_folds(speakers: Sequence[str], init: Path, folds: int) -> dict[str, int]:
    """The folds of the model to start from, so that none meets a speaker held out from it."""
    known = tdnn_folder.read_folds(init)
    if new := sorted(set(speakers) - set(known)):
        raise UserError(
            f"`init` {init.name} was trained without the speaker {new[0]} "
            f"({len(new)} of {len(set(speakers))}), so it gives them no fold.",
            "Start from a model of the same set, or without `init`.",
        )
    found = {speaker: known[speaker] for speaker in sorted(set(speakers))}
    if set(found.values()) != set(range(folds)):
        raise UserError(
            f"`folds` {folds}: `init` {init.name} has the folds "
            f"{', '.join(map(str, sorted(set(known.values()))))} of these speakers.",
            "Give the same `folds` and set as there.",
        )
    return found


def gather(workdir: WorkDir, config: AcousticConfig) -> Inputs:
    """Find the inputs.

    Raises:
        UserError: something is not there, or the alignments have different labels.
    """
    names = zip(config.sets, config.aligns, strict=True)
    sources = tuple(find_source(workdir, set_name, align) for set_name, align in names)
    given = config.held_out_align
    align = config.aligns[0] if given is None else given
    held_out = tuple(find_source(workdir, name, align) for name in config.held_out_sets)
    for other in (*sources[1:], *held_out):
        if other.labels != sources[0].labels:
            raise UserError(
                f"{sources[0].alignment} and {other.alignment} have different labels: "
                f"{_differing(sources[0].labels, other.labels)}.",
                "Align all sets with the same acoustic model.",
            )
    if not config.init:
        return Inputs(sources, held_out)
    refuse_path(config.init, "Give `init` the name of a model in exp/acoustic.")
    folder = workdir.require(
        workdir.exp("acoustic", config.init), f"speechkit train acoustic --name {config.init}"
    )
    return Inputs(sources, held_out, folder, tdnn_folder.read_card(folder))


def _differing(one: Sequence[str], other: Sequence[str]) -> str:
    if set(one) == set(other):
        return "the order differs"
    left, right = sorted(set(one) - set(other)), sorted(set(other) - set(one))
    return f"only the first has {left[:5] or 'none'}, only the second {right[:5] or 'none'}"


def check_init(config: AcousticConfig, inputs: Inputs) -> None:
    """Raise UserError unless the model to start from has the same shape and networks."""
    card = inputs.init_card
    if card is None:
        return
    own: Mapping = {
        **config.network.as_dict(),
        **config.features.as_dict(),
        "labels": inputs.labels,
    }
    theirs = {**card.network.as_dict(), **card.features.as_dict(), "labels": card.labels}
    for key, value in own.items():
        if value != theirs[key] and key != "dropout":
            raise ConfigError(
                "init",
                f"{config.init} has {key} {theirs[key]}, this training has {value}.",
                "Give the same flags as there, or start without `init`.",
            )
    if missing := [name for name in config.names if name not in card.weights]:
        raise ConfigError(
            "init",
            f"{config.init} has no network '{missing[0]}', only {', '.join(card.weights)}.",
            "Give the same `folds` and `full` as there.",
        )
