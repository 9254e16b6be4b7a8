"""Messages that count things: "1 utterance", not "1 utterances".

Where a number in an f-string is followed by a plural, the two are `counted(number, noun)`.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import speechkit

ROOT = Path(speechkit.__file__).parent
# Not samples, frames, columns, labels ...: sizes of data, hardly ever 1.
NOUNS = (
    "batches|channels|chunks|clips|cores|files|folders|folds|groups|lines|mixtures|models|networks"
    "|parts|raters|readings|recordings|scorers|seeds|sentences|sets|speakers|speeds|transcripts"
    "|utterances|windows|words"
)
PLURAL = re.compile(rf" (?:[a-z]+ )?(?:{NOUNS})\b(?![-'])")
NO_ADJECTIVE = re.compile(
    r" (?:a|an|and|are|as|by|do|does|from|has|have|holds|in|is|lacks|lists|names?|no|none|of|on|or|"
    r"separates|than|that|the|to|was|were|with|without)\b"
)
OTHER = re.compile(r"_?[A-Z][A-Z_]+|counted\(.*")  # a constant
# Numbers that are never 1 where the message is said, and values that are no numbers.
ALWAYS_MORE = {
    "acoustic/lexicon/readings.py": {"count"},
    "acoustic/tdnn/model.py": {"len(self.networks)"},
    "base/audio.py": {"count"},
    "corpora/config.py": {"self.label_case"},
    "emotion/evaluate.py": {"len(split.folds)"},
    "emotion/figures.py": {"runs"},
    "emotion/predict.py": {"len(found)"},
    "kaldi/split.py": {"total"},
    "labels/folds.py": {"parts"},
    "mining/search.py": {"len(miner.order)"},
    "phone_features/import_gop.py": {"len(utterances)"},
    "pronunciation/result.py": {"count"},
    "report/reader.py": {"count or '?'"},  # is compared with the papers' rows
    "report/separation.py": {"hard"},
    "separation/data.py": {"config.speakers"},
    "separation/evaluate.py": {"speakers"},
    "separation/model_folder.py": {"seeds"},
    "separation/train.py": {"header.speakers"},
    "serve/answers.py": {"found.channels"},
    "sharing/archive.py": {"len(members)"},
    "sharing/formats.py": {"len(found.models)"},
    "task/prediction/jobs.py": {"total"},
    "task/prediction/stream.py": {"total"},
    "task/prediction/written.py": {"len(inputs.jobs)"},
    "training/guard.py": {"self.in_a_row"},
}


def plurals(source: str) -> list[tuple[str, str]]:
    """Values of f-strings with the plural that follows each, as (expression, words)."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            for value, text in zip(node.values, node.values[1:], strict=False):
                if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant):
                    words = PLURAL.match(str(text.value))
                    told = ast.unparse(value.value)
                    if words and not NO_ADJECTIVE.match(words[0]) and not OTHER.fullmatch(told):
                        found.append((told, words[0].strip()))
    return found


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_number_and_its_noun_agree(path: Path) -> None:
    allowed = ALWAYS_MORE.get(str(path.relative_to(ROOT)), set())
    assert [one for one in plurals(path.read_text("utf-8")) if one[0] not in allowed] == []


def test_what_is_found() -> None:
    assert plurals('f"{len(a)} of {n:,} broken clips are left out"') == [("n", "broken clips")]
    assert plurals('f"{len(a)} utterances"') == [("len(a)", "utterances")]
    assert plurals('f"{MOST} files, {name} has words, {a} x-vectors, {n} files\' names"') == []
    assert plurals("f\"{counted(n, 'clip')} and {n} x\"") == []


def test_no_exception_is_left_over() -> None:
    for name, allowed in ALWAYS_MORE.items():
        assert allowed <= {told for told, _ in plurals((ROOT / name).read_text("utf-8"))}, name
