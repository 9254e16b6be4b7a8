"""The stages of ``train scoring``: pre-training and fine-tuning, frozen or unfrozen."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from speechkit.acoustic.tdnn import folder as tdnn_folder
from speechkit.base.log import counted, logger, progress
from speechkit.scoring import joint_data, joint_network
from speechkit.scoring.batches import Batches
from speechkit.scoring.config import LAST, PRETRAIN, ScoringConfig, Stage
from speechkit.scoring.data import ScoringSet
from speechkit.scoring.models import ScorerConfig
from speechkit.scoring.seeds import SELECT, TOGETHER, TRACK, Group, Seed, draw_pool, stacked
from speechkit.training import stacked_runs
from speechkit.training.curves import listeners
from speechkit.training.devices import keep_memory
from speechkit.workdir import Output, WorkDir

if TYPE_CHECKING:
    from speechkit.scoring.joint import Examples

_STREAMS = {True: (0x61, 0x62), False: (0x63, 0x64)}  # of draws, of pre-training or not


@dataclass
class Stages:
    """What all stages of a run share.

    Args:
        work: the working directory.
        name: of the experiment.
        config: all that decides the result.
        sets: name of a set and suffix of its synthetic scores -> the set.
        outputs: seed -> its folder.
        device: where.
        jobs: processes that read audio.
    """

    work: WorkDir
    name: str
    config: ScoringConfig
    sets: Mapping[tuple[str, str | None], ScoringSet]
    outputs: Mapping[int, Output]
    device: torch.device
    jobs: int

    def __post_init__(self) -> None:
        keep_memory(self.device)

    def set_of(self, stage: Stage) -> ScoringSet:
        """What a stage learns from."""
        return self.sets[stage.set_name, stage.synthetic]

    @cached_property
    def network(self) -> ScorerConfig:
        """Shape of the scorer."""
        return self.config.network(self.set_of(self.config.stages[0]).features.shape[1])

    @property
    def measured(self) -> dict[str, ScoringSet]:
        """Sets that are measured after every epoch."""
        named = ((SELECT, self.config.select), (TRACK, self.config.track))
        return {key: self.sets[name, None] for key, name in named if name and name != LAST}

    def run(self, stage: Stage, seeds: Sequence[Seed]) -> None:
        """Train all seeds in a stage."""
        found = self.set_of(stage)
        labelled = self.config.labelled if stage.name != PRETRAIN else 0
        for seed in seeds:
            seed.pool = draw_pool(found, labelled, seed.number)
        logger.info(
            f"{stage.name}: {counted(len(seeds), 'seed')} of {self.config.model} on "
            f"{counted(len(seeds[0].pool), 'utterance')} of {found.name}, acoustic model "
            f"{'updated' if stage.joint else 'frozen'}; {self.device}"
        )
        run = self._unfrozen if stage.joint else self._frozen
        run(stage, seeds, found)

    def sets_by_seed(self, found: ScoringSet, seeds: Sequence[Seed]) -> list[ScoringSet]:
        """The set as each seed hears it; those that read the same get the same object."""
        folders, how = [seed.acoustic for seed in seeds], {"device": self.device, "jobs": self.jobs}
        return joint_network.sets_of_models(self.work, found, folders, **how)

    def batches(self, found: ScoringSet) -> Batches:
        """A set on the device."""
        return Batches(found, self.network.kind == "blstm", self.device)

    def _frozen(self, stage: Stage, seeds: Sequence[Seed], found: ScoringSet) -> None:
        """Seeds that read the same features are trained in one.

        Threads would not help: steps are so short that Python's lock keeps them apart.
        """
        files = {n: out.part(f"{stage.name}.pt") for n, out in self.outputs.items()}
        by_number = {seed.number: seed for seed in seeds}
        others = {key: self.sets_by_seed(one, seeds) for key, one in self.measured.items()}
        groups = []
        for same, places in _same_objects(self.sets_by_seed(found, seeds)):
            batches = self.batches(same)
            measured = {key: self.batches(sets[places[0]]) for key, sets in others.items()}
            numbers = [seeds[place].number for place in places]
            own = {number: files[number] for number in numbers if number in files}
            for one in stacked_runs.arrange(numbers, own, 1, self.device, TOGETHER):
                together = [by_number[number] for number in one.seeds]
                net, pools = stacked(self.network, together), [seed.pool for seed in together]
                every = torch.from_numpy(np.stack(pools))
                how = (self._config_of(stage), net, batches, every, measured, one.seeds)
                group = one.load(Group(*how, self.device, _STREAMS[stage.name == PRETRAIN]))
                group.tells = listeners(self.outputs, one.seeds, stage.name)
                groups.append((group, one.file))
        before = sum(group.epoch * len(group.seeds) for group, _ in groups)
        total = stage.epochs * sum(len(group.seeds) for group, _ in groups)
        with progress(f"{stage.name} {self.name}", total, "epoch", before) as advance:
            stacked_runs.run(groups, 1, advance)
        for group, _ in groups:
            for place, number in enumerate(group.seeds):
                by_number[number].finish(stage.name, group.rows[place], *group.chosen(place))

    def _config_of(self, stage: Stage) -> ScoringConfig:
        """The configuration with epochs and learning rate of a stage."""
        return replace(self.config, epochs=stage.epochs, learning_rate=stage.learning_rate)

    def _unfrozen(self, stage: Stage, seeds: Sequence[Seed], found: ScoringSet) -> None:
        """Seeds one after another, each with an acoustic model of its own."""
        from speechkit.scoring.joint import Examples  # Lightning takes seconds to import

        config = found.features_of[0]
        start = joint_network.acoustic_folder(config, self.work, "An unfrozen stage")
        card = tdnn_folder.read_card(start)
        sets, made = {**self.measured, "": found}, {}
        for key, one in sets.items():
            data = joint_data.load(
                self.work, one, card.features, card.network.reach, jobs=self.jobs
            )
            made[key] = Examples(data, self.batches(one))
        whole = made.pop("")
        for seed in seeds:
            if seed.number not in self.outputs:
                continue
            part = Examples(
                whole.data.subset(seed.pool.tolist()), self.batches(found.part(seed.pool))
            )
            own = seed.acoustic / joint_network.ACOUSTIC if seed.acoustic else start
            self._together(stage, seed, own, int(config["layer"]), part, made)

    def _together(
        self,
        stage: Stage,
        seed: Seed,
        start: Path,
        layer: int,
        examples: Examples,
        measured: Mapping[str, Examples],
    ) -> None:
        """Train a seed and the acoustic model in ``start``."""
        from speechkit.scoring.joint import JointNet, train_joint

        out = self.outputs[seed.number]
        place = out.part(stage.name)
        place.mkdir(exist_ok=True)
        network, card = joint_network.trainable(start, layer)
        scorer, config = stacked(self.network, [seed]), self._config_of(stage)
        done = train_joint(
            JointNet(network, scorer, layer, config, examples, measured),
            seed=seed.number,
            device=self.device,
            checkpoint=place / "state.pt",
            tensorboard=out.path / "tensorboard" / stage.name,
            label=f"{stage.name} {self.name} seed {seed.number}",
        )
        joint_network.write(place, done.network, card, str(start))
        seed.acoustic = place
        weights = {name: value[0] for name, value in done.scorer.items()}
        seed.finish(stage.name, done.rows, done.epoch, weights)


def _same_objects(sets: Sequence[ScoringSet]) -> list[tuple[ScoringSet, list[int]]]:
    """Each object among the sets, and its places."""
    found: dict[int, tuple[ScoringSet, list[int]]] = {}
    for place, one in enumerate(sets):
        found.setdefault(id(one), (one, []))[1].append(place)
    return list(found.values())


def copy_acoustic(source: Path, target: Path) -> None:
    """Copy ``acoustic/`` from one folder into another."""
    place = target / joint_network.ACOUSTIC
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(source / joint_network.ACOUSTIC, place)
