"""``evaluate separation`` on small random models, against a plain loop with torchmetrics."""

import json
from dataclasses import replace
from pathlib import Path

import dask_workers
import numpy as np
import pytest
import soundfile
import torch
from separation_models import NETWORK, RATE, make_mixtures, make_model, settings
from torchmetrics.functional.audio import (
    permutation_invariant_training,
    scale_invariant_signal_noise_ratio,
    signal_distortion_ratio,
)

from speechkit.base.errors import UserError
from speechkit.labels.mixtures import load_mixtures
from speechkit.separation import evaluate as stage
from speechkit.separation import measurement, model_folder, results
from speechkit.separation.evaluate import evaluate
from speechkit.task import trained
from speechkit.task.evaluation import read_summary
from speechkit.workdir import WorkDir


@pytest.fixture
def world(tmp_path):
    make_mixtures(tmp_path)
    make_model(tmp_path, seed=0)
    make_model(tmp_path, seed=3)
    return tmp_path


def plain_loop(root, rate=RATE):
    """Rows by (seed, mixture), one mixture at a time."""
    dataset = load_mixtures(root / "data" / "test_2mix", root)
    found = {}
    for seed, folder in trained.find(WorkDir(root), "separation", "dm"):
        separator = model_folder.load(folder)
        for mixture in dataset.mixtures:
            mixed, sources = map(torch.from_numpy, dataset.read(mixture))
            with torch.no_grad():
                estimates = separator.net(mixed[None]).double()
            value, order = permutation_invariant_training(
                estimates,
                sources[None].double(),
                scale_invariant_signal_noise_ratio,
                mode="speaker-wise",
                eval_func="max",
            )
            own, before = estimates[0, order[0]].double(), mixed.double().expand_as(sources)
            exact = sources.double()
            sdr = signal_distortion_ratio(own, exact).mean()
            found[seed, mixture.id] = {
                "si_snr_db": value.item(),
                "si_snri_db": value.item()
                - scale_invariant_signal_noise_ratio(before, exact).mean().item(),
                "sdr_db": sdr.item(),
                "sdri_db": (sdr - signal_distortion_ratio(before, exact).mean()).item(),
            }
    return found


def test_table_and_summary_are_those_of_a_plain_loop(world, run, numpy_solve):
    ran = run("evaluate", "separation", "--name", "dm", "-C", world, "--hsr", "-20,5.5", "--json")
    assert ran.code == 0, ran.err
    folder = world / "exp" / "separation" / "dm" / "eval" / "test_2mix"
    table = results.read_utterances(folder)
    expected = plain_loop(world)
    assert list(zip(table["seed"], table["mixture"], strict=True)) == list(expected)
    for row in table.to_dict("records"):
        for name, value in expected[row["seed"], row["mixture"]].items():
            assert row[name] == pytest.approx(value, abs=1e-3), (row["mixture"], name)
    shown = json.loads(ran.out)
    assert Path(shown.pop("output")) == folder
    by_seed = [
        np.array([v["si_snri_db"] for (s, _), v in expected.items() if s == k]) for k in (0, 3)
    ]
    for name, function in (
        ("si_snri_db", np.mean),
        ("si_snri_p01_db", lambda x: np.percentile(x, 1)),
        ("si_snri_p50_db", np.median),
        ("hsr-20_percent", lambda x: 100 * np.mean(x < -20)),
        ("hsr5.5_percent", lambda x: 100 * np.mean(x < 5.5)),
    ):
        values = [function(x) for x in by_seed]
        assert shown[name]["mean"] == pytest.approx(np.mean(values), abs=1e-3), name
        assert shown[name]["std"] == pytest.approx(np.std(values, ddof=1), abs=1e-3), name
        assert shown[name]["n"] == 2
    assert shown["mixtures"]["mean"] == 6 and shown["mixtures_silent"]["mean"] == 0
    combined = [row["genders"] for row in table.to_dict("records") if row["seed"] == 0]
    for genders in set(combined):
        inside = [
            np.mean([x for x, g in zip(v, combined, strict=True) if g == genders]) for v in by_seed
        ]
        assert shown[f"si_snri_{genders.lower()}_db"]["mean"] == pytest.approx(
            np.mean(inside), abs=1e-3
        )
        assert shown[f"mixtures_{genders.lower()}"]["mean"] == combined.count(genders)
    again = run("evaluate", "separation", "--name", "dm", "-C", world, "--hsr", "-20,5.5")
    assert again.code == 0 and "up to date" in again.err


def test_clips_of_the_worst_and_of_the_middle(world):
    folder = evaluate(WorkDir(world), settings(), device="cpu")
    table = results.read_utterances(folder)
    ranked = table[table["seed"] == 0].sort_values("si_snri_db")["mixture"].tolist()
    listed = [line.split("\t") for line in (folder / "worst.tsv").read_text().splitlines()]
    assert [line[2] for line in listed[1:]] == ranked
    middle = [line.split("\t") for line in (folder / "median.tsv").read_text().splitlines()]
    assert [line[0] for line in middle[1:]] == ["2", "3", "4"]
    assert [line[2] for line in middle[1:]] == ranked[1:4]
    names = ("mixture", "source1", "source2", "estimate1", "estimate2")
    clips = {name: soundfile.read(folder / f"{listed[1][1]}_{name}.wav")[0] for name in names}
    info = soundfile.info(folder / f"{listed[1][1]}_mixture.wav")
    assert (info.subtype, info.samplerate) == ("PCM_16", RATE)
    assert max(np.abs(each).max() for each in clips.values()) == pytest.approx(0.9, abs=1e-3)
    assert np.allclose(clips["mixture"], clips["source1"] + clips["source2"], atol=2e-4)
    for k in "12":
        levels = [np.sqrt(np.mean(clips[f"{what}{k}"] ** 2)) for what in ("source", "estimate")]
        assert levels[0] == pytest.approx(levels[1], rel=0.01)


def test_silent_sources_are_named_and_left_out(tmp_path, run):
    make_mixtures(tmp_path, silent=(1, 4))
    make_model(tmp_path)
    ran = run("evaluate", "separation", "--name", "dm", "-C", tmp_path, "--json")
    assert ran.code == 0, ran.err
    assert "2 mixtures with a silent source" in ran.err and "mix1, mix4" in ran.err
    summary = json.loads(ran.out)
    assert summary["mixtures"]["mean"] == 6 and summary["mixtures_silent"]["mean"] == 2
    assert summary["si_snri_db"]["std"] is None  # one seed has no spread
    folder = Path(summary["output"])
    table = results.read_utterances(folder)
    undefined = table[table["mixture"].isin(["mix1", "mix4"])]
    measured = [name for name in results.MEASURES if name in table]
    assert undefined[measured].isna().all(axis=None)
    rest = table.drop(undefined.index)
    assert rest[measured].notna().all(axis=None)
    assert summary["si_snri_db"]["mean"] == pytest.approx(rest["si_snri_db"].mean())


def test_nothing_but_silence_is_an_error(tmp_path):
    make_mixtures(tmp_path, count=2, silent=(0, 1))
    make_model(tmp_path)
    with pytest.raises(UserError, match="no mixture that can be measured"):
        evaluate(WorkDir(tmp_path), settings(), device="cpu")


def test_mixtures_shorter_than_the_window(world, run):
    path = world / "data" / "test_2mix" / "mixtures.tsv"
    lines = path.read_text().splitlines()
    cells = lines[2].split("\t")
    lines[2] = "\t".join([cells[0], "7", *cells[2:]])
    path.write_text("\n".join(lines) + "\n")
    command = ("evaluate", "separation", "--name", "dm", "-C", world, "--no-sdr")
    ran = run(*command)
    assert ran.code == 2 and "mix1: has 7 samples" in ran.err and "16" in ran.err
    ran = run(*command, "--on-error", "skip", "--json")
    assert ran.code == 0, ran.err
    summary = json.loads(ran.out)
    assert summary["mixtures"]["mean"] == 5 and summary["mixtures_skipped"]["mean"] == 1
    assert "mix1" in (Path(summary["output"]) / "skipped.tsv").read_text()


def test_a_broken_file_is_named(world):
    (world / "data" / "test_2mix" / "wav" / "s0-u0.wav").write_bytes(b"")
    with pytest.raises(UserError, match=r"mix\d: .*s0-u0.wav: is empty"):
        evaluate(WorkDir(world), settings(), device="cpu")


def test_a_set_of_another_rate_is_refused_or_resampled(tmp_path):
    make_mixtures(tmp_path, count=2, rate=16000)
    make_model(tmp_path)
    with pytest.raises(UserError, match="has 16000 Hz, the model 8000 Hz") as caught:
        evaluate(WorkDir(tmp_path), settings(), device="cpu")
    assert "`resample`" in caught.value.remedy
    folder = evaluate(WorkDir(tmp_path), settings(resample=True), device="cpu")
    dataset = load_mixtures(tmp_path / "data" / "test_2mix", tmp_path)
    mixed, sources = dataset.read(dataset.mixtures[0])
    from scipy.signal import resample_poly

    x, s = (torch.from_numpy(resample_poly(each, 1, 2, axis=-1)) for each in (mixed, sources))
    before = scale_invariant_signal_noise_ratio(x.expand_as(s), s).mean().item()
    row = results.read_utterances(folder).iloc[0]
    assert row["si_snr_db"] - row["si_snri_db"] == pytest.approx(before, abs=0.1)
    assert row["samples"] == dataset.mixtures[0].samples


def test_another_number_of_speakers_is_refused(tmp_path):
    make_mixtures(tmp_path)
    make_model(tmp_path, network=replace(NETWORK, speakers=3))
    with pytest.raises(UserError, match=r"mixtures of 2 speakers, .*seed0 separates 3"):
        evaluate(WorkDir(tmp_path), settings(), device="cpu")


def test_three_speakers(tmp_path):
    make_mixtures(tmp_path, count=2, speakers=3)
    make_model(tmp_path, network=replace(NETWORK, speakers=3))
    folder = evaluate(WorkDir(tmp_path), settings(), device="cpu")
    assert "speaker3" in results.read_utterances(folder)
    assert len(list((folder / "worst").glob("01_*.wav"))) == 7


def test_the_other_checkpoint_does_not_take_the_place_of_the_models_own(world):
    work = WorkDir(world)
    own = evaluate(work, settings(), device="cpu")
    before = (own / "utterances.tsv").read_text()
    assert evaluate(work, settings(checkpoint="plain"), device="cpu") == own
    other = evaluate(work, settings(checkpoint="weighted"), device="cpu")
    assert other.name == "test_2mix-weighted"
    assert (own / "utterances.tsv").read_text() == before != (other / "utterances.tsv").read_text()
    named = evaluate(work, settings(checkpoint="weighted"), out_name="w", device="cpu")
    assert named.name == "test_2mix-w"
    assert (named / "utterances.tsv").read_text() == (other / "utterances.tsv").read_text()


def test_a_new_seed_is_measured_by_the_same_command(world):
    folder = evaluate(WorkDir(world), settings(), device="cpu")
    make_model(world, seed=4)
    evaluate(WorkDir(world), settings(), device="cpu")
    assert read_summary(folder)["si_snri_db"]["n"] == 3


def test_a_killed_run_is_taken_up(world, monkeypatch):
    whole = evaluate(WorkDir(world), settings(), out_name="whole", device="cpu")
    monkeypatch.setattr(measurement, "PART", 2)
    calls, score_batch = [], measurement.score_batch

    def dies(members, task):
        calls.append(members)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return score_batch(members, task)

    monkeypatch.setattr(measurement, "score_batch", dies)
    with pytest.raises(KeyboardInterrupt):
        evaluate(WorkDir(world), settings(), device="cpu")
    assert not (world / "exp" / "separation" / "dm" / "eval" / "test_2mix").exists()
    folder = evaluate(WorkDir(world), settings(), device="cpu")
    assert len(calls) == 4 + 4  # of six, two were kept
    assert (folder / "utterances.tsv").read_text() == (whole / "utterances.tsv").read_text()


def test_a_cluster_measures_the_same(world, numpy_solve):
    here = evaluate(WorkDir(world), settings(), out_name="here", device="cpu")
    with dask_workers.in_process(workers=1) as executor:
        there = evaluate(WorkDir(world), settings(), device="cpu", executor=executor)
    assert (there / "utterances.tsv").read_bytes() == (here / "utterances.tsv").read_bytes()


@pytest.mark.parametrize("name", ["worst", "median"])
def test_a_run_killed_among_its_examples_is_taken_up(world, monkeypatch, name):
    whole = evaluate(WorkDir(world), settings(), out_name="whole", device="cpu")
    write = stage._write_clips

    def dies(stem, *rest):
        write(stem, *rest)
        if stem.parent.name == name:
            raise KeyboardInterrupt

    monkeypatch.setattr(stage, "_write_clips", dies)
    with pytest.raises(KeyboardInterrupt):
        evaluate(WorkDir(world), settings(), device="cpu")
    monkeypatch.setattr(stage, "_write_clips", write)
    folder = evaluate(WorkDir(world), settings(), device="cpu")
    clips = sorted(path.relative_to(folder) for path in folder.glob("*/*.wav"))
    assert clips == sorted(path.relative_to(whole) for path in whole.glob("*/*.wav"))
    assert all((folder / clip).read_bytes() == (whole / clip).read_bytes() for clip in clips)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--name", "none"], "no trained model 'none'"),
        (["--set", "test_3mix"], "no set 'test_3mix'"),
        (["--checkpoint", "best"], "'best' is not known"),
        (["--hsr", "5,x"], "not a list of numbers"),
        (["--hsr", "nan"], "--hsr nan is out of range"),
        (["--on-error", "ignore"], "'ignore' is not known"),
    ],
)
def test_bad_options(world, run, options, problem):
    ran = run("evaluate", "separation", "--name", "dm", "-C", world, *options)
    assert ran.code == 2 and problem in " ".join(ran.err.split())
