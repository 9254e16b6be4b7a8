"""speechocean762: scored English of Mandarin speakers, already in Kaldi's tables.

Layout: https://github.com/jimbozhang/speechocean762. Zhang et al., "speechocean762: An
Open-Source Non-native English Speech Corpus For Pronunciation Assessment", Interspeech 2021.
"""

from __future__ import annotations

from pathlib import Path

from speechkit.base.errors import UserError
from speechkit.base.log import counted, logger
from speechkit.corpora.common import (
    Corpus,
    CorpusSet,
    Item,
    find_audio,
    parse_gender,
    require_folder,
    split_speakers,
    subfolders,
)
from speechkit.corpora.config import SpeechoceanConfig
from speechkit.corpora.scored import Problems, check_scores, read_json, take_text_phone
from speechkit.kaldi.data import read_table
from speechkit.labels.scores import Scores

LAYOUT = "speechocean762 as published: WAVE/, train/ and test/ with wav.scp, text and utt2spk."
ADULT = 18  # years
SETS = ("train", "test")
_NEEDED = ("wav.scp", "text", "utt2spk")
_OPTIONAL = ("spk2gender", "spk2age")


def read_corpus(path: Path, config: SpeechoceanConfig | None = None) -> Corpus:
    """Read the two published sets, with the corpus's own ids, and a division of ``train``.

    Its utterance ids begin with the speaker's number (with one zero in front), so that they
    sort as Kaldi wants. The sets ``dev`` and ``train_nodev`` have children and adults, female
    and male in proportion.

    Args:
        path: the corpus, or the folder that holds ``speechocean762``.
        config: scores, and the share of ``dev``.

    Raises:
        UserError: another layout, a broken table, tables that disagree, scores that do not
            fit (every problem is listed).
    """
    config = config or SpeechoceanConfig()
    root = _find_root(path)
    files = _audio_by_name(root)
    sets = [_read_set(root, part, files) for part in SETS]
    tables = [root / part / name for part in SETS for name in _NEEDED + _OPTIONAL]
    params = {"path": str(root)}
    if config.scores == "none":
        params["scores"] = "none"
    else:
        texts = {item.utterance: item.text for part in sets for item in part.items}
        found, read = _read_scores(root / "resource", texts, config.scores == "require")
        tables += read
        for part in sets:
            part.scores = found
    if config.dev_share:
        sets += _divide(sets[0], config.dev_share, config.seed)
    there = [table for table in tables if table.is_file()]
    return Corpus("prepare speechocean762", params, sets, there)


def _find_root(path: Path) -> Path:
    path = require_folder(path, LAYOUT)
    inner = path / "speechocean762"
    root = inner if inner.is_dir() and not (path / "train").is_dir() else path
    for part in SETS:
        for name in _NEEDED:
            if not (root / part / name).is_file():
                raise UserError(
                    f"{root} is not speechocean762: it has no {part}/{name}.", f"Expected: {LAYOUT}"
                )
    return root


def _divide(train: CorpusSet, dev_share: float, seed: int) -> list[CorpusSet]:
    def group(speaker: str) -> str:
        age = train.age.get(speaker, "")
        grown = "" if not age.isdecimal() else "adult" if int(age) >= ADULT else "child"
        return f"{grown} {train.gender.get(speaker, '')}"

    shares = {"train_nodev": 1 - dev_share, "dev": dev_share}
    parts = split_speakers(train, shares, seed, group, "`dev_share` (0: no dev set)")
    for part in parts:
        part.params = {"dev_share": dev_share, "seed": seed}
    return parts


def _read_scores(
    folder: Path, texts: dict[str, str], require: bool
) -> tuple[Scores | None, list[Path]]:
    """The scores, and the files that they are from."""
    json_file, phone_file = folder / "scores.json", folder / "text-phone"
    there = [file for file in (json_file, phone_file) if file.is_file()]
    if not json_file.is_file():
        if require:
            raise UserError(f"{json_file} does not exist.", f"Expected: {LAYOUT}")
        logger.warning(f"{json_file} does not exist: the sets have no scores.")
    problems = Problems()
    scores = Scores()
    if json_file.is_file():
        scores = read_json(json_file, texts, scores.scales, problems)
        check_scores(scores, texts, texts, problems)
    if phone_file.is_file():
        take_text_phone(phone_file, scores, texts, problems)
    problems.raise_if_any(
        json_file, "Copy the corpus again, or leave the scores out with `scores` none."
    )
    return (scores if scores.names() else None), there


def _audio_by_name(root: Path) -> dict[str, list[Path]]:
    """Audio by lower-case name without ending: copies differ in case, and in WAV or FLAC."""
    found: dict[str, list[Path]] = {}
    for folder in subfolders(root):
        if folder.name.lower() == "wave":
            for file in find_audio(folder):
                found.setdefault(file.stem.lower(), []).append(file)
    return found


def _read_set(root: Path, part: str, files: dict[str, list[Path]]) -> CorpusSet:
    folder = root / part
    wavs, texts, speakers = (read_table(folder / name) for name in _NEEDED)
    for name, table in (("text", texts), ("utt2spk", speakers)):
        differ = sorted(set(wavs) ^ set(table))
        if differ:
            raise UserError(
                f"{folder}: wav.scp and {name} disagree on {counted(len(differ), 'utterance')} "
                f"({', '.join(differ[:3])}).",
                "Copy the corpus again.",
            )
    gender, age = (
        read_table(folder / name) if (folder / name).is_file() else {} for name in _OPTIONAL
    )
    return CorpusSet(
        name=part,
        items=[
            Item(
                utterance, _locate(root, wav, files, folder), speakers[utterance], texts[utterance]
            )
            for utterance, wav in wavs.items()
        ],
        gender={s: parse_gender(g, f"{folder / 'spk2gender'}, {s}") for s, g in gender.items()},
        age=age,
    )


def _locate(root: Path, wav: str, files: dict[str, list[Path]], folder: Path) -> Path:
    """The file of a line of ``wav.scp``; a missing one keeps its published name."""
    if wav.endswith("|"):
        raise UserError(
            f"{folder / 'wav.scp'}: '{wav}' is a shell command, which is not run.",
            "Use the corpus as published.",
        )
    there = files.get(Path(wav).stem.lower(), [])
    exact = root / wav
    return there[0] if len(there) == 1 or (there and not exact.is_file()) else exact
