"""Faults of Kaldi data directories: in tables, in audio, in what stands where a table should."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from pathlib import Path

import numpy as np
import soundfile

TABLES = (
    "wav.scp", "utt2spk", "spk2utt", "text", "utt2dur", "spk2gender", "spk2age", "utt2emotion",
    "segments", "utterance_scores.tsv", "word_scores.tsv", "phone_scores.tsv",
    "rater_scores.tsv", "score_scales.json",
)  # fmt: skip

# Values that break readers: empty, invisible, numbers of many kinds, places, commands, markup.
NASTY = [
    "",
    " ",
    "\t",
    "\u00a0",
    "\u2028",
    "\u200b",
    "\ufeff",
    "\x00",
    "\x1b[31m",
    "\r",
    "\x85",
    "\x0b",
    "\x0c",
    "\x1c",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "1e400",
    "-1",
    "0",
    "1e-320",
    "9" * 400,
    "0x10",
    "1_000",
    "१",
    "²",
    "½",
    "-0.0",
    "+5",
    "1e5",
    "٣",
    "../../etc/passwd",
    "/etc/passwd",
    "/dev/zero",
    "/dev/null",
    "/proc/self/mem",
    "data/train",
    ".",
    "..",
    "~",
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned",
    "touch pwned |",
    "|",
    "| touch pwned",
    "-rf",
    "--help",
    "<script>alert(1)</script>",
    "[/bold]",
    "[red]x",
    "{0}",
    "%s%n",
    "\\",
    "'",
    '"',
    "é",
    "e\u0301",
    "😀",
    "あ" * 120,
    "a" * 5000,
    "CON",
    "null",
    "true",
    "[]",
    "{}",
    "MIXED case",
    "\ud800",
    "m",
    "f",
    "x",
    "male",
    "WE",
    "CALL",
    "happy",
]


def nasty(rng: random.Random) -> str:
    """A value that breaks readers."""
    if rng.random() < 0.15:
        return "".join(
            chr(
                rng.choice(
                    (
                        rng.randrange(32),
                        rng.randrange(128),
                        rng.randrange(0x800),
                        rng.randrange(0x10000),
                    )
                )
            )
            for _ in range(rng.randrange(1, 9))
        )
    return rng.choice(NASTY)


def mutate_table(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """A table with one fault; ``others`` may stand in its place."""
    lines = data.split(b"\n")
    some = rng.randrange(len(lines))
    kind = rng.randrange(24)
    enc = lambda text: text.encode("utf-8", "surrogatepass")  # noqa: E731
    if kind == 0:
        del lines[some]
    elif kind == 1:
        lines.insert(rng.randrange(len(lines) + 1), lines[some])
    elif kind == 2:
        rng.shuffle(lines)
    elif kind == 3:
        return data.replace(b"\n", b"\r\n")
    elif kind == 4:
        return b"\xef\xbb\xbf" + data
    elif kind == 5:
        return data.replace(b" ", b"\t")
    elif kind == 6:
        at = rng.randrange(len(data) + 1)
        return data[:at] + bytes(rng.randrange(256) for _ in range(rng.randrange(1, 6))) + data[at:]
    elif kind == 7:
        return data[: rng.randrange(len(data) + 1)]
    elif kind == 8:
        return b""
    elif kind == 9:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(200)))
    elif kind == 10:
        return data.decode("utf-8", "replace").encode(
            rng.choice(["utf-16", "utf-16-le", "utf-32", "utf-7"])
        )
    elif kind == 11:
        return rng.choice(others)
    elif kind == 12:
        lines[some] = enc(nasty(rng))
    elif kind == 13:
        lines[some] = lines[some] + rng.choice([b" ", b"\t"]) + enc(nasty(rng))
    elif kind == 14:
        lines[some] = enc(nasty(rng)) + rng.choice([b"", b" ", b"\t"]) + lines[some]
    elif kind == 15:
        lines.insert(some, rng.choice([b"", b"   ", b"\t", b"\x00", b"\xff\xfe"]))
    elif kind == 16:
        return data.rstrip(b"\n")
    elif kind == 17:
        return data * rng.randrange(2, 4)
    elif kind == 18:  # a bit flipped
        if data:
            at = rng.randrange(len(data))
            return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
    elif kind == 19:
        return data.upper() if rng.random() < 0.5 else data.lower()
    else:  # one field of one line
        line = lines[some]
        sep = b"\t" if b"\t" in line else b" "
        fields = line.split(sep)
        at = rng.randrange(len(fields))
        action = rng.randrange(4)
        if action == 0:
            fields[at] = enc(nasty(rng))
        elif action == 1:
            del fields[at]
        elif action == 2:
            fields.insert(at, enc(nasty(rng)))
        else:
            other = lines[rng.randrange(len(lines))].split(sep)
            fields[at] = rng.choice(other)
        lines[some] = sep.join(fields)
    return b"\n".join(lines)


def mutate_audio(path: Path, rng: random.Random) -> str:
    """One fault in a WAV file; returns its kind."""
    data = path.read_bytes()
    kind = rng.randrange(20)
    if kind == 0:
        path.write_bytes(b"")
    elif kind == 1:
        path.write_bytes(data[: rng.randrange(len(data))])
    elif kind == 2:
        path.write_bytes(b"this is no audio\n" * 10)
    elif kind == 3:
        path.unlink()
    elif kind == 4:
        path.unlink()
        path.mkdir()
    elif kind == 5:
        path.unlink()
        path.symlink_to(path.name)
    elif kind == 6:
        path.unlink()
        path.symlink_to("/nowhere")
    elif kind == 7:  # bytes of the header at random
        broken = bytearray(data)
        for _ in range(rng.randrange(1, 6)):
            broken[rng.randrange(44)] = rng.randrange(256)
        path.write_bytes(bytes(broken))
    elif kind == 8:
        sound = np.zeros(8000, "float32")
        sound[rng.randrange(8000)] = rng.choice([np.nan, np.inf, -np.inf])
        soundfile.write(path, sound, 16000, subtype="FLOAT")
    elif kind == 9:
        soundfile.write(path, np.zeros(rng.choice([0, 1, 2, 10, 100]), "float32"), 16000)
    elif kind == 10:
        soundfile.write(path, np.zeros(8000, "float32"), 16000)
    elif kind == 11:
        rate = rng.choice([1, 2, 7, 100, 3999, 22050, 96000, 192000, 655350])
        soundfile.write(
            path, np.random.default_rng(rng.randrange(9)).standard_normal(4000) * 0.1, rate
        )
    elif kind == 12:
        many = rng.choice([2, 3, 8, 64, 200])
        soundfile.write(path, np.random.default_rng(1).standard_normal((4000, many)) * 0.1, 16000)
    elif kind == 13:
        soundfile.write(
            path, np.random.default_rng(1).standard_normal(8000) * 1e30, 16000, subtype="FLOAT"
        )
    elif kind == 14:
        soundfile.write(
            path, np.random.default_rng(1).standard_normal(8000) * 1e-42, 16000, subtype="FLOAT"
        )
    elif kind == 15:
        soundfile.write(
            path.with_suffix(".flac"), np.random.default_rng(1).standard_normal(8000) * 0.1, 16000
        )
        flac = path.with_suffix(".flac").read_bytes()
        path.with_suffix(".flac").unlink()
        cut = bytearray(flac[: rng.randrange(4, len(flac))])
        path.write_bytes(bytes(cut))
    elif kind == 16:
        path.unlink()
        os.mkfifo(path)
    elif kind == 17:
        path.chmod(0)
    elif kind == 18:
        soundfile.write(
            path,
            np.random.default_rng(1).standard_normal(8000),
            16000,
            subtype=rng.choice(
                ["PCM_U8", "PCM_24", "PCM_32", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM"]
            ),
        )
    else:  # claims of a longer file
        broken = bytearray(data)
        broken[40:44] = rng.choice(
            [b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\xff\xff\xff\x7f", b"\x00\x00\x10\x00"]
        )
        path.write_bytes(bytes(broken))
    return f"audio{kind}"


def add_segments(folder: Path, rng: random.Random) -> None:
    """A table of segments, often with one that cannot be."""
    names = [line.split()[0] for line in (folder / "wav.scp").read_text().splitlines()]
    lines = []
    for name in names:
        start, end = rng.choice([(0, 0.3), (0.1, 0.5), (0.2, -1), (0, -1), (0.0, 0.505)])
        lines.append(f"{name} {name} {start} {end}")
    if rng.random() < 0.5:
        at = rng.randrange(len(lines))
        name = names[at]
        a, b = rng.choice(
            [
                ("-1", "0.3"),
                ("nan", "0.3"),
                ("0.1", "nan"),
                ("inf", "inf"),
                ("0.1", "inf"),
                ("0.3", "0.1"),
                ("0.3", "0.3"),
                ("0", "1e9"),
                ("1e300", "1e301"),
                ("0", "1e-9"),
                ("0.00001", "0.00002"),
                ("-0.0", "0.4"),
                ("0.1", "-1.0"),
                ("0.1", "-2"),
                ("0,1", "0,5"),
                ("0.499999", "0.5"),
                ("5", "-1"),
                ("0", "0"),
                ("1_0", "2_0"),
            ]
        )
        lines[at] = f"{name} {rng.choice([*names, 'nobody'])} {a} {b}"
    (folder / "segments").write_text("\n".join(lines) + "\n")


def mutate_place(folder: Path, rng: random.Random) -> str:
    """Something that stands where a table should, or a file that nobody expects."""
    unexpected = (
        "mixtures.tsv", "mixtures.json", "utt2x", "spk2x", ".backup", "manifest.json", "splits",
        "skipped.tsv", "reco2dur", "x.tsv", "x.json", "x.csv",
    )  # fmt: skip
    name = rng.choice((*TABLES, *unexpected))
    path = folder / name
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists() or path.is_symlink():
        path.unlink()
    kind = rng.randrange(9)
    if kind == 0:
        path.mkdir()
    elif kind == 1:
        path.symlink_to(name)
    elif kind == 2:
        path.symlink_to("/nowhere")
    elif kind == 3:
        path.symlink_to("..")
    elif kind == 4:
        path.write_text(
            rng.choice(
                [
                    "{",
                    "[]",
                    "{}",
                    "null",
                    "[" * 100000,
                    '{"a": 1e999}',
                    "1",
                    '"x"',
                    '{"utterance": {"total": [10, 0]}}',
                    '{"utterance": {"total": ["a", null]}}',
                    '{"utterance": [0, 1]}',
                    '{"phone": {"accuracy": [0, 0]}}',
                    '{"utterance": {"total": [NaN, Infinity]}}',
                ]
            )
        )
    elif kind == 5:
        path.write_bytes(b"\xff\xfe\x00" * 30)
    elif kind == 6:
        path.write_text("utt\tx\n" + nasty(rng).encode("utf-8", "replace").decode() + "\n")
    elif kind == 7:
        path.write_text("")
    return f"place:{name}:{kind}"


def mutate_paths(root: Path, folder: Path, rng: random.Random) -> str:
    """Audio paths with odd but legal names."""
    lines = (folder / "wav.scp").read_text().splitlines()
    at = rng.randrange(len(lines))
    utt, old = lines[at].split(maxsplit=1)
    name = rng.choice(
        [
            "a b.wav",
            "a'b.wav",
            'a"b.wav',
            "a\tb.wav",
            "-rf.wav",
            "a[bold]b.wav",
            "é.wav",
            "$(touch pwned).wav",
            "a;b.wav",
            "a|b.wav",
            "a|",
            "*.wav",
            "%s.wav",
            "a\\b.wav",
            "😀.wav",
            " lead.wav",
            "trail.wav ",
            "#.wav",
            "a#b.wav",
            "a?b.wav",
            "a\u2028b.wav",
            "a\u00a0b.wav",
            "x" * 250,
            "~.wav",
            "http://x/y.wav",
        ]
    )
    try:
        (folder / "wav" / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(root / old, folder / "wav" / name)
    except OSError:
        return "paths:impossible"
    lines[at] = f"{utt} data/train/wav/{name}"
    (folder / "wav.scp").write_text("\n".join(lines) + "\n")
    return f"paths:{name[:20]!r}"


def mutate(root: Path, rng: random.Random) -> list[str]:
    """Some faults in ``data/train`` under ``root``; returns their kinds."""
    folder, done = root / "data/train", []
    if rng.random() < 0.35:
        add_segments(folder, rng)
        done.append("segments")
    if rng.random() < 0.4:  # a leaner set, so that one fault does not hide the next
        for name in TABLES[3:]:
            if rng.random() < 0.6 and name != "segments":
                (folder / name).unlink(missing_ok=True)
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 5])):
        dice = rng.random()
        if dice < 0.62:
            names = [n for n in TABLES if (folder / n).is_file()]
            if not names:
                continue
            name = rng.choice(names)
            path = folder / name
            others = [(folder / n).read_bytes() for n in names]
            path.write_bytes(mutate_table(path.read_bytes(), rng, others))
            done.append(name)
        elif dice < 0.84:
            clips = [
                p
                for p in sorted((folder / "wav").glob("*.wav"))
                if p.is_file() and not p.is_symlink()
            ]
            if clips:
                done.append(mutate_audio(rng.choice(clips), rng))
        elif dice < 0.93:
            done.append(mutate_place(folder, rng))
        else:
            with contextlib.suppress(OSError, ValueError, IndexError):
                done.append(mutate_paths(root, folder, rng))
    return done
