"""x-vector extraction against SpeechBrain's EncoderClassifier, one file at a time.

    python benchmarks/bench_xvector.py [-C WORKDIR --set SET] [--rounds 3]

Both have the same (random) weights of the published size and read the same files; rounds
alternate, and the fastest round of each counts. Without -C it generates demo speech.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from speechkit.kaldi import data
from speechkit.speaker import embedder
from speechkit.speaker.extraction import BATCH_SECONDS, make_batches
from speechkit.speaker.tdnn import TDNN, TDNNConfig
from speechkit.workdir import WorkDir

HYPER = """
sample_rate: 16000
n_mels: 24
emb_dim: 512
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.Xvector.Xvector
    in_channels: !ref <n_mels>
    activation: !name:torch.nn.LeakyReLU
    tdnn_blocks: 5
    tdnn_channels: [512, 512, 512, 512, 1500]
    tdnn_kernel_sizes: [5, 3, 3, 1, 1]
    tdnn_dilations: [1, 2, 3, 1, 1]
    lin_neurons: !ref <emb_dim>
classifier: !new:speechbrain.lobes.models.Xvector.Classifier
    input_shape: [null, null, !ref <emb_dim>]
    activation: !name:torch.nn.LeakyReLU
    lin_blocks: 1
    lin_neurons: !ref <emb_dim>
    out_neurons: 10
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    classifier: !ref <classifier>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
"""


def write_folder(folder: Path) -> None:
    torch.manual_seed(0)
    (folder / "hyperparams.yaml").write_text(HYPER)
    torch.save(TDNN(TDNNConfig()).speechbrain_state(), folder / "embedding_model.ckpt")


def speechbrain_run(folder: Path, paths: list[str], device: str):
    """SpeechBrain's way: load, embed, next file."""
    from speechbrain.inference.classifiers import EncoderClassifier

    model = EncoderClassifier.from_hparams(
        str(folder), savedir=str(folder / "savedir"), run_opts={"device": device}
    )
    scratch = folder / "audio"
    scratch.mkdir()

    def run() -> np.ndarray:
        vectors = []
        for path in paths:
            samples = model.load_audio(path, savedir=str(scratch))
            vectors.append(model.encode_batch(samples).squeeze().cpu().numpy())
        return np.stack(vectors)

    return run


def our_run(folder: Path, dataset: data.DataDir, precision: str, device: str):
    """The body of extract-xvector: sorted batches, folded normalisation."""
    from speechkit.speaker.extraction import _embed

    batches = make_batches(dataset, BATCH_SECONDS[device])
    embed = partial(_embed, folder=folder, device=device, precision=precision, on_error="stop")

    def run() -> np.ndarray:
        vectors = {}
        for found in map(embed, batches):
            vectors.update(zip(found["ids"], found["vectors"], strict=True))
        return np.stack([vectors[u.id] for u in dataset.utterances])

    embedder.load(folder, device, precision)
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-C", dest="dir", type=Path, help="working directory")
    parser.add_argument("--set", default="test")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    device = os.environ.get("SPEECHKIT_BENCH_DEVICE", "cpu")  # cuda, where gpu.sh runs this
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        folder.mkdir()
        root = args.dir or Path(scratch)
        if args.dir is None:
            from speechkit.cli.main import main as speechkit

            speechkit(["prepare", "demo", "-C", scratch])
        work = WorkDir(root)
        dataset = data.load(work.data(args.set), work.root)
        write_folder(folder)
        paths = [str(Path(u.wav).absolute()) for u in dataset.utterances]
        runs = {
            "SpeechBrain EncoderClassifier, one file at a time": speechbrain_run(
                folder, paths, device
            ),
            "speechkit, float32": our_run(folder, dataset, "32", device),
            "speechkit, bf16": our_run(folder, dataset, "bf16", device),
        }
        report(runs, args.rounds, len(paths))


def report(runs: dict, rounds: int, count: int) -> None:
    best = dict.fromkeys(runs, float("inf"))
    vectors = {}
    for _ in range(rounds):
        for name, run in runs.items():
            started = time.perf_counter()
            vectors[name] = run()
            best[name] = min(best[name], time.perf_counter() - started)
    first, *_ = runs
    unit = {n: v / np.linalg.norm(v, axis=1, keepdims=True) for n, v in vectors.items()}
    print(f"{count} utterances, {torch.get_num_threads()} threads, {os.cpu_count()} CPUs\n")
    print("| | utterances/s | ratio | largest cosine distance to SpeechBrain's vector |")
    print("|---|---|---|---|")
    for name, seconds in best.items():
        away = float(np.max(1 - (unit[name] * unit[first]).sum(1)))
        print(f"| {name} | {count / seconds:.0f} | {best[first] / seconds:.2f} | {away:.1e} |")


if __name__ == "__main__":
    main()
