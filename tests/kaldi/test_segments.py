"""Segments: times that are none, and parts that hold no sample."""

import pytest

from speechkit.base import audio
from speechkit.base.errors import DataError
from speechkit.corpora.check import fix, validate
from speechkit.kaldi import data
from speechkit.kaldi.segments import Segment, SegmentError

BROKEN = ["0.1 inf", "inf -1", "inf inf", "0 1e400", "nan 0.5", "0.1 nan", "-1 0.3", "0.3 0.3", "0"]


@pytest.mark.parametrize("times", BROKEN)
def test_times_that_are_none(workdir, run, times):
    folder = workdir / "data/train"
    names = [line.split()[0] for line in (folder / "wav.scp").read_text().splitlines()]
    lines = [f"{names[0]} {names[0]} {times}", *(f"{n} {n} 0 0.5" for n in names[1:])]
    (folder / "segments").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match="segments:1"):
        data.load(folder, workdir)
    assert run("extract-prosody", "-C", workdir, "-j", 1).code == 2
    problems = validate.check(folder, workdir).problems
    assert [(p.file.name, p.line) for p in problems] == [("segments", 1)]
    fix.fix(folder, workdir)
    assert len(data.load(folder, workdir).utterances) == len(names) - 1


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        (0.0, 1e-9, None),
        (0.00001, 0.00002, None),
        (0.999999, 1.0, None),
        (0.0, 1 / 8000, 1 / 8000),
        (0.5, None, 0.5),
        (0.5, 1.005, 0.5),
        (0.5, 1.02, None),
        (1.0, None, None),
    ],
)
def test_a_part_is_accepted_where_reading_finds_samples(workdir, start, end, seconds):
    path = workdir / "data/train/wav/s0-u0.wav"
    part, found = Segment("r", start, end), audio.info(path)
    try:
        samples = audio.read(path, start=start, end=end)[0]
    except audio.AudioError:
        assert seconds is None
        with pytest.raises(SegmentError):
            part.check(found)
    else:
        assert part.check(found) == pytest.approx(seconds)
        assert len(samples) == round(seconds * found.sample_rate)


def test_validate_finds_a_part_without_a_sample(workdir, run):
    folder = workdir / "data/train"
    names = [line.split()[0] for line in (folder / "wav.scp").read_text().splitlines()]
    lines = [f"{names[0]} {names[0]} 0 1e-9", *(f"{n} {n} 0 0.5" for n in names[1:])]
    (folder / "segments").write_text("\n".join(lines) + "\n")
    (problem,) = validate.check(folder, workdir).problems
    assert (problem.kind, problem.line) == ("segment-times", 1) and "no sample" in problem.message
    assert run("validate", "--fix", "-C", workdir).code == 0
    assert run("extract-prosody", "-C", workdir, "-j", 1).code == 0
