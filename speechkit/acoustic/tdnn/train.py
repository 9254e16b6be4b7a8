"""Train acoustic networks on the states of alignments, cross-fitted over speakers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from speechkit.acoustic.tdnn import folder as tdnn_folder
from speechkit.acoustic.tdnn import realign as tdnn_realign
from speechkit.acoustic.tdnn.batches import Data
from speechkit.acoustic.tdnn.config import FULL, AcousticConfig
from speechkit.acoustic.tdnn.evaluate import Evaluator
from speechkit.acoustic.tdnn.fit import AcousticNet, NetworkTrainer, fold_of, load_data
from speechkit.acoustic.tdnn.folder import Card
from speechkit.acoustic.tdnn.inputs import Inputs, check_init, gather
from speechkit.acoustic.tdnn.model import TdnnModel
from speechkit.acoustic.tdnn.network import STATES, Tdnn, resolve_acoustic_precision
from speechkit.acoustic.tdnn.realign import LogRow
from speechkit.base.log import counted, logger
from speechkit.base.tables import write_json, write_log
from speechkit.training.config import require_minutes
from speechkit.training.devices import keep_memory, ranks, resolve_device, shared_output
from speechkit.workdir import Output, WorkDir

__all__ = ["AcousticNet", "train"]

COMMAND = "train acoustic"


def train(
    workdir: WorkDir,
    name: str,
    config: AcousticConfig,
    *,
    device: str = "auto",
    jobs: int = 1,
    checkpoint_minutes: float = 5.0,
    force: bool = False,
    other_batch_size: bool = False,
) -> Path:
    """Train all networks and write ``exp/acoustic/<name>/``; returns that folder.

    Under torchrun all processes do, each with its share of every batch.

    Args:
        workdir: the working directory.
        name: of the model.
        config: all that decides the result.
        device: auto, cpu or cuda.
        jobs: processes that compute features and alignments.
        checkpoint_minutes: how often the state is saved inside an epoch.
        force: replace a model that was trained with other parameters.
        other_batch_size: go on from an unfinished run of another batch size.

    Raises:
        UserError: bad flags, no alignment, or data that does not fit it.
    """
    config.check(ranks().world)
    where = resolve_device(device)
    precision = resolve_acoustic_precision(config.precision, where)
    require_minutes(checkpoint_minutes)
    inputs = gather(workdir, config)
    network = replace(
        config.network, n_mels=config.features.n_mels, outputs=STATES * len(inputs.labels)
    )
    config = replace(config, network=network)
    check_init(config, inputs)
    output = Output(
        workdir.exp("acoustic", name),
        COMMAND,
        config.params(),
        inputs.files(),
        force=force,
        audio=inputs.audio_files(),
        resume=True,
        training=True,
        other_batch_size=other_batch_size,
    )
    with shared_output(output, where) as out:
        if not out.up_to_date:
            trainer = NetworkTrainer(config, out, where, precision, checkpoint_minutes)
            keep_memory(where)
            _Run(out, config, inputs, trainer, jobs).train()
    return output.final


@dataclass
class _Run:
    """One training of all networks, with its rounds of re-alignment."""

    out: Output
    config: AcousticConfig
    inputs: Inputs
    trainer: NetworkTrainer
    jobs: int
    log: list[tuple[int, LogRow]] = field(default_factory=list)
    realigned: list[dict[str, float]] = field(default_factory=list)

    def train(self) -> None:
        config, given = self.config, self.inputs
        words = [tdnn_realign.words_of(s) for s in given.sources] if config.realign else []
        for number in range(config.realign):
            kept = self.out.part(f"round{number}")
            if not tdnn_realign.finished(kept):
                self._round(number, kept)
            tdnn_realign.wait()
            self.log += [(number, row) for row in tdnn_realign.read_log(kept)]
            self._realign(number, kept, words)
        data, networks, rows = self._fit_all(config.realign)
        if ranks().rank:
            return
        self.log += [(config.realign, row) for row in rows]
        self._write(data, networks, self._measure(data, networks))
        if config.realign:
            tdnn_realign.store(self.out, self.inputs.sources)

    def _round(self, number: int, kept: Path) -> None:
        data, networks, rows = self._fit_all(number)
        if not ranks().rank:
            states = {n: tdnn_folder.half(net.state_dict()) for n, net in networks.items()}
            folds = data.folds if self.config.folds else {}
            tdnn_realign.keep(kept, self._card(data), states, folds, rows)

    def _realign(self, number: int, kept: Path, words: Sequence[Mapping]) -> None:
        """Align by the networks of a round; what follows starts from both."""
        before = self.inputs
        folders = [
            tdnn_realign.realign(self.out, number, source, own, self.trainer.device, self.jobs)
            for source, own in zip(before.sources, words, strict=True)
        ]
        self.inputs = before.after(folders, kept)
        if not ranks().rank:
            pairs = list(zip(before.sources, self.inputs.sources, strict=True))
            changed = {s.dataset.path.name: tdnn_realign.changed_share(s, t) for s, t in pairs}
            shown = ", ".join(f"{share:.1%} of {name}" for name, share in changed.items())
            logger.info(f"Aligned again: other phones in {shown} (frames).")
            self.realigned.append(changed)

    def _fit_all(self, number: int) -> tuple[Data, dict[str, Tdnn], list[LogRow]]:
        """Train all networks of a round."""
        data = load_data(self.inputs, self.config, self.jobs)
        self._describe(data)
        networks, log = {}, []
        for name in self.config.names:
            networks[name], rows = self.trainer.fit(name, data, self.inputs, number)
            log += [(name, epoch, row) for epoch, row in enumerate(rows, 1)]
        return data, networks, log

    def _describe(self, data: Data) -> None:
        frames = sum(part.stop - part.start for stream in data.plain for part in stream.parts)
        kept = sum(int((stream.targets >= 0).sum()) for stream in data.plain)
        parameters = sum(p.numel() for p in Tdnn(self.config.network).parameters())
        self.summary: dict[str, Any] = {
            "utterances": sum(len(stream.parts) for stream in data.plain),
            "speakers": len(data.folds),
            "frames": frames,
            "masked_share": 1 - kept / frames,
            "parameters": parameters,
        }
        trainer, found = self.trainer, self.summary
        if not ranks().rank:
            logger.info(
                f"{counted(found['utterances'], 'utterance')} of "
                f"{counted(found['speakers'], 'speaker')}, {counted(frames, 'frame')}, "
                f"{found['masked_share']:.1%} of them masked; {parameters:,} parameters "
                f"for each of {', '.join(self.config.names)} on {trainer.device} "
                f"({trainer.precision})"
            )
        self.out.counts.update({n: found[n] for n in ("utterances", "speakers", "frames")})
        self.out.notes.update(device=str(trainer.device), precision=trainer.precision)

    def _measure(self, data: Data, networks: Mapping[str, Tdnn]) -> dict[str, Any]:
        config = self.config
        folded = {name: network.folded() for name, network in networks.items()}
        folds = data.folds if config.folds else {}
        model = TdnnModel(self.out.final.name, folded, self._card(data), folds)
        evaluator = Evaluator(data, config)
        summary = {**self.summary, **evaluator.folds(model)}
        if self.realigned:
            summary["realigned_frames_changed"] = self.realigned
        if self.inputs.held_out:
            summary["held_out_sets"] = {
                source.dataset.path.name: evaluator.set(model, source, self.jobs)
                for source in self.inputs.held_out
            }
        return summary

    def _card(self, data: Data) -> Card:
        config, states = self.config, self.config.network.outputs
        return Card(
            data.labels,
            config.features,
            config.network,
            config.unseen if config.folds else FULL,
            config.prior_scale,
            training=json.loads(json.dumps(config.params())),
            stay={name: data.stay(fold_of(name), states) for name in config.names},
        )

    def _write(self, data: Data, networks: Mapping[str, Tdnn], summary: Mapping[str, Any]) -> None:
        folder, again = self.out.path, bool(self.config.realign)
        states = {name: tdnn_folder.half(net.state_dict()) for name, net in networks.items()}
        folds = data.folds if self.config.folds else {}
        tdnn_folder.write(folder, self._card(data), states, folds)
        rows = [
            {"network": name, "epoch": n, **row, **({"round": number} if again else {})}
            for number, (name, n, row) in self.log
        ]
        write_log(folder / "log.tsv", rows)
        write_json(folder / "summary.json", summary)
