"""The folds of a split, and how those of each kind are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from speechkit.base.errors import ConfigError, UserError
from speechkit.base.log import counted
from speechkit.base.random_draws import rng
from speechkit.base.tables import grouped
from speechkit.labels.config import (
    PAPER,
    PARTS,
    RANDOM_80_20,
    SPEAKER_FOLDS,
    STATEMENT,
    FoldsConfig,
)
from speechkit.labels.emotions import EmotionSet, class_counts

MAX_SENTENCES = 20
PUBLISHED_FIRST = ("calm", "fearful", "surprised")  # 39 of 192 clips are tested, of others 38
_SPEAKERS, _CLIPS, _SENTENCES, _PAPER, _VALID = 0x5A, 0x5B, 0x5C, 0x5D, 0x100  # streams of draws


@dataclass(frozen=True)
class Fold:
    """One division of the set.

    Args:
        valid: utterances that choose the step or the hyperparameters.
        test: utterances that are only measured; in a split of the kind ``paper`` the same as
            ``valid``.
        valid_speakers: speakers of ``valid``; empty where they are also trained on.
    """

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]
    valid_speakers: tuple[str, ...] = ()
    test_speakers: tuple[str, ...] = ()


def draw_folds(dataset: EmotionSet, settings: FoldsConfig) -> list[Fold]:
    """The folds of a split; the same for the same set and settings.

    Raises:
        UserError: too few speakers, clips or sentences.
    """
    check_classes(dataset)
    if settings.kind == STATEMENT:
        return statement_folds(dataset, settings)
    if settings.kind == RANDOM_80_20:
        return random_folds(dataset, settings)
    if settings.kind == PAPER:
        return [paper_fold(dataset, settings)]
    return speaker_folds(dataset, settings)


def check_classes(dataset: EmotionSet) -> None:
    """Raise UserError for a class with one clip: it cannot be both trained on and tested."""
    for name, count in class_counts(dataset.labels.values(), dataset.classes).items():
        if count < 2:
            alone = next(u for u, label in dataset.labels.items() if label == name)
            raise UserError(
                f"The class '{name}' of the set '{dataset.name}' has a single clip ({alone}), "
                "which cannot be both trained on and tested.",
                "Give the class more clips, another label, or leave the clip out.",
            )


def deal(groups: Mapping[str, Sequence[str]], parts: int, seed: int, stream: int) -> list[set[str]]:
    """Deal the shuffled members of groups to parts in turn, so that each has its share of each.

    Dealing goes on from group to group, which keeps the parts equally large within one: of women
    a, b, c and men d, e, two parts get a, c, e and b, d.
    """
    dealt: list[set[str]] = [set() for _ in range(parts)]
    position = 0
    for number, (_, members) in enumerate(sorted(groups.items())):
        for index in rng(seed, stream, number).permutation(len(members)):
            dealt[position % parts].add(members[index])
            position += 1
    return dealt


def speaker_folds(dataset: EmotionSet, settings: FoldsConfig) -> list[Fold]:
    """Divisions that part speakers, genders in proportion.

    In ``speaker-folds`` every speaker is tested once; where their number is no multiple of
    ``fold_size``, folds differ by one speaker.
    """
    parts, folds = PARTS, settings.folds
    if settings.kind == SPEAKER_FOLDS:
        parts = folds = round(len(dataset.data.speakers) / settings.fold_size)
        if parts < 2:
            raise UserError(
                f"The set '{dataset.name}' has {counted(len(dataset.data.speakers), 'speaker')}, "
                f"too few for two folds of {settings.fold_size}.",
                "Give a smaller one: speechkit split-folds --fold-size N",
            )
    speakers = dataset.data.speakers
    if len(speakers) < max(parts, 3):
        raise UserError(
            f"The set '{dataset.name}' has {counted(len(speakers), 'speaker')}, too few to train, "
            f"validate and test {parts} parts on different ones.",
            "Take `split` random-80-20 (it says nothing about new speakers), or a larger set.",
        )
    dealt = deal(_genders(dataset, speakers), parts, settings.seed, _SPEAKERS)
    found = []
    for number in range(folds):
        others = [s for later in range(1, parts) for s in sorted(dealt[(number + later) % parts])]
        valid = _validating(dataset, others, settings)
        found.append(_fold(dataset, set(others) - valid, valid, dealt[number]))
    return found


def _validating(dataset: EmotionSet, speakers: Sequence[str], settings: FoldsConfig) -> set[str]:
    """Validation speakers out of those of the training part, genders in turn.

    ``speakers`` begins with those of the next fold, so that another two validate in each.
    """
    if settings.valid_speakers >= len(speakers):
        raise UserError(
            f"`valid_speakers` {settings.valid_speakers}: the training part has "
            f"{counted(len(speakers), 'speaker')}, and would lose all of them.",
            f"Accepted: at most {len(speakers) - 1}.",
        )
    queues = list(_genders(dataset, speakers).values())
    chosen: list[str] = []
    while len(chosen) < settings.valid_speakers:
        for queue in queues:
            if queue and len(chosen) < settings.valid_speakers:
                chosen.append(queue.pop(0))
    return set(chosen)


def _genders(dataset: EmotionSet, speakers: Iterable[str]) -> dict[str, list[str]]:
    """Gender -> its speakers, in the given order."""
    found = grouped(speakers, lambda speaker: dataset.data.gender.get(speaker, "?"))
    return dict(sorted(found.items()))


def random_folds(dataset: EmotionSet, settings: FoldsConfig) -> list[Fold]:
    """Divisions that test a part of the clips of every class, whoever speaks."""
    dealt = deal(grouped(dataset.labels, dataset.labels.__getitem__), PARTS, settings.seed, _CLIPS)
    found = []
    for number in range(settings.folds):
        test = dealt[number]
        rest = [name for name in dataset.labels if name not in test]
        shares = max(2, round(1 / settings.valid_share))
        left = grouped(rest, dataset.labels.__getitem__)
        valid = deal(left, shares, settings.seed, _VALID + number)[0]
        train = [name for name in rest if name not in valid]
        speakers = sorted({dataset.speaker(name) for name in test})
        ordered = [tuple(n for n in dataset.labels if n in part) for part in (valid, test)]
        found.append(Fold(tuple(train), ordered[0], ordered[1], (), tuple(speakers)))
    return found


def paper_fold(dataset: EmotionSet, settings: FoldsConfig) -> Fold:
    """The published division: a fifth of the clips tests, and chooses the step.

    Of all 1,440 clips of RAVDESS's speech 288 are tested. The classes' fifths, 38.4 clips (19.2 of
    neutral), are rounded down, and the clips that are then missing come from those whose fifths
    lost most; where these are alike, from the classes that have 39 in Figs. 1, 5, 8 and 11.
    """
    groups = grouped(dataset.labels, dataset.labels.__getitem__)
    fifths = {name: len(members) / PARTS for name, members in groups.items()}
    most = sorted(fifths, key=lambda n: (int(fifths[n]) - fifths[n], n not in PUBLISHED_FIRST, n))
    missing = len(dataset.labels) // PARTS - sum(map(int, fifths.values()))
    test: set[str] = set()
    for number, name in enumerate(sorted(groups)):
        count = max(1, int(fifths[name]) + (name in most[:missing]))
        order = rng(settings.seed, _PAPER, number).permutation(len(groups[name]))
        test |= {groups[name][i] for i in order[:count]}
    ordered = tuple(name for name in dataset.labels if name in test)
    train = tuple(name for name in dataset.labels if name not in test)
    speakers = sorted({dataset.speaker(name) for name in test})
    return Fold(train, ordered, ordered, (), tuple(speakers))


def statement_folds(dataset: EmotionSet, settings: FoldsConfig) -> list[Fold]:
    """One fold per sentence: tested on it, trained on the others.

    Validation is on speakers that are taken out of the training part; in the test part they
    stay, as do all others, so that the two sentences differ in nothing else.
    """
    said = dataset.statements
    if missing := [name for name in dataset.labels if name not in said]:
        raise UserError(
            f"`split` statement: '{dataset.name}' has no statement of "
            f"{counted(len(missing), 'utterance')} ({missing[0]}).",
            "It needs utt2statement or text (tables of the set) for every utterance.",
        )
    kinds = sorted({said[name] for name in dataset.labels})
    if not 2 <= len(kinds) <= MAX_SENTENCES:
        raise ConfigError(
            "split",
            f"statement: '{dataset.name}' has {counted(len(kinds), 'different sentence')}.",
            f"It is for sets of 2 to {MAX_SENTENCES} sentences that are said again and again.",
        )
    order = rng(settings.seed, _SENTENCES).permutation(len(dataset.data.speakers))
    speakers = [dataset.data.speakers[i] for i in order]
    found = []
    for number, sentence in enumerate(kinds):
        turn = number * settings.valid_speakers % len(speakers)
        valid = _validating(dataset, speakers[turn:] + speakers[:turn], settings)
        test = {name for name in dataset.labels if said[name] == sentence}
        found.append(_fold(dataset, set(speakers) - valid, valid, set(speakers), test))
    return found


def _fold(
    dataset: EmotionSet,
    train: set[str],
    valid: set[str],
    test: set[str],
    tested: set[str] | None = None,
) -> Fold:
    """The fold of some speakers; ``tested`` are the clips that only the test part may have."""

    def of(speakers: set[str], is_test: bool) -> tuple[str, ...]:
        return tuple(
            name
            for name in dataset.labels
            if dataset.speaker(name) in speakers and (tested is None or (name in tested) == is_test)
        )

    return Fold(
        of(train, False),
        of(valid, False),
        of(test, True),
        tuple(sorted(valid)),
        tuple(sorted(test)),
    )
