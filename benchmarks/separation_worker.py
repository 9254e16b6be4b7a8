"""One side of bench_separation.py: does a job as often as it is told, and says how long it took.

Started by bench_separation.py with the Python of the side that is measured; imports nothing of
speechkit unless that side is speechkit. The first line of standard input is the job in JSON;
every further line is a number of repetitions, answered by one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

warnings.filterwarnings("ignore")
Job = Callable[[], torch.Tensor]


def speechkit_model(m: dict) -> torch.nn.Module:
    from speechkit.separation.conv_tasnet import ConvTasNet, ConvTasNetConfig

    return ConvTasNet(ConvTasNetConfig(**m))


def asteroid_model(m: dict) -> torch.nn.Module:
    from asteroid.models import ConvTasNet

    return ConvTasNet(
        2, n_blocks=m["blocks"], n_repeats=m["repeats"], bn_chan=m["bottleneck"],
        hid_chan=m["hidden"], skip_chan=m["skip"], norm_type="gLN", mask_act="relu",
        n_filters=m["filters"], kernel_size=m["kernel"], stride=m["kernel"] // 2,
    )  # fmt: skip


class SpeechBrainModel(torch.nn.Module):
    """Encoder, mask network and decoder put together as in SpeechBrain's recipe."""

    def __init__(self, m: dict) -> None:
        from speechbrain.lobes.models.conv_tasnet import MaskNet
        from speechbrain.lobes.models.dual_path import Decoder, Encoder

        super().__init__()
        n, width = m["filters"], m["kernel"]
        self.encoder = Encoder(width, n)
        sizes = (n, m["bottleneck"], m["hidden"], 3, m["blocks"], m["repeats"], 2)
        self.masknet = MaskNet(*sizes, norm_type="gLN", causal=False, mask_nonlinear="relu")
        self.decoder = Decoder(n, 1, width, stride=width // 2, bias=False)

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        features = self.encoder(mixture)
        masked = torch.stack([features] * 2) * self.masknet(features)
        estimates = torch.stack([self.decoder(source) for source in masked], dim=1)
        return torch.nn.functional.pad(estimates, (0, mixture.shape[1] - estimates.shape[2]))


def loss_of(side: str) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Negative PIT SI-SNR, averaged over the batch, of estimates and targets [B, S, T]."""
    if side == "speechkit":
        from speechkit.separation.loss import SISNRLoss

        return SISNRLoss()
    if side == "asteroid":
        from asteroid.losses import PITLossWrapper, pairwise_neg_sisdr

        return PITLossWrapper(pairwise_neg_sisdr, pit_from="pw_mtx")
    from speechbrain.nnet.losses import get_si_snr_with_pitwrapper

    return lambda estimates, targets: get_si_snr_with_pitwrapper(
        targets.transpose(1, 2), estimates.transpose(1, 2)
    ).mean()


MODELS = {
    "speechkit": speechkit_model,
    "asteroid": asteroid_model,
    "speechbrain": SpeechBrainModel,
}


def step(job: dict) -> tuple[Job, dict]:
    """A training step: forward, PIT SI-SNR, backward, clipping, Adam."""
    device = job["device"]
    net = MODELS[job["side"]](job["model"]).to(device)
    count = sum(p.numel() for p in net.parameters())
    run = torch.compile(net) if job.get("compile") else net
    loss_function = loss_of(job["side"])
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    sources = torch.randn(job["batch"], 2, job["samples"], device=device)
    mixture = sources.sum(1)
    half = job["precision"] == "bf16"

    def work() -> torch.Tensor:
        with torch.autocast(device, torch.bfloat16, enabled=half):
            estimates = run(mixture)
        loss = loss_function(estimates.float(), sources)
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        adam.step()
        return loss.detach()

    return work, {"parameters": count}


def pit(job: dict) -> tuple[Job, dict]:
    """The loss alone, forward and backward."""
    device = job["device"]
    targets = torch.randn(job["batch"], job["sources"], job["samples"]).to(device)
    noise = torch.randn(targets.shape).to(device)
    estimates = (targets.flip(1) + noise).requires_grad_()
    loss_function = loss_of(job["side"])

    def work() -> torch.Tensor:
        estimates.grad = None
        loss = loss_function(estimates, targets)
        loss.backward()
        return loss.detach()

    return work, {}


def peak_mib(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    # Should memory run out, this process goes first, not somebody's training.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever libraries print is no answer
    job = json.loads(sys.stdin.readline())
    torch.manual_seed(0)
    work, facts = {"step": step, "pit": pit}[job["kind"]](job)
    finish = torch.cuda.synchronize if job["device"] == "cuda" else (lambda: None)
    facts["value"] = float(work())
    for _ in range(job.get("warm_up", 1)):
        work()
    finish()
    print(json.dumps(facts), file=answers, flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            started = time.perf_counter()
            work()
            finish()
            seconds.append(time.perf_counter() - started)
        answer = {"seconds": seconds, "peak_mib": peak_mib(job["device"])}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
