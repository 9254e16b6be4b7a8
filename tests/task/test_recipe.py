"""The commands of a recipe, and choices that are of another task."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechkit.base.errors import ConfigError, UserError
from speechkit.task.recipe import RecipeConfig, plan


def test_a_copy_of_speechocean762_is_known_by_its_scores(tmp_path: Path) -> None:
    (tmp_path / "resource").mkdir()
    (tmp_path / "resource" / "scores.json").write_text("{}")
    assert plan("pronunciation", tmp_path, RecipeConfig())[0][1] == "speechocean762"


@pytest.mark.parametrize(
    ("task", "flags", "field"),
    [
        ("separation", RecipeConfig(seeds=2), "seeds"),
        ("emotion", RecipeConfig(scores=Path("s")), "scores"),
        ("pronunciation", RecipeConfig(speakers_unknown=True), "speakers_unknown"),
    ],
)
def test_choices_of_other_tasks_are_refused(task: str, flags: RecipeConfig, field: str) -> None:
    with pytest.raises(ConfigError) as raised:
        plan(task, Path("x"), flags)
    assert raised.value.field == field


def test_emotion_asks_who_speaks_where_folders_are_classes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="who speaks") as raised:
        plan("emotion", tmp_path, RecipeConfig())
    assert raised.value.field == "speaker_pattern" and "speakers_unknown" in raised.value.remedy
    unknown = plan("emotion", tmp_path, RecipeConfig(speakers_unknown=True))
    assert "random-80-20" in unknown[2]
    (tmp_path / "metadata.csv").write_text("file_name,label,speaker\n")  # which says it
    assert "speaker-80-20" in plan("emotion", tmp_path, RecipeConfig())[2]


def test_a_recipe_of_an_unknown_task() -> None:
    with pytest.raises(ConfigError) as raised:
        plan("singing", Path("x"), RecipeConfig())
    assert raised.value.field == "task"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        plan("pronunciation", tmp_path / "nothing", RecipeConfig())


@pytest.mark.parametrize(
    ("name", "corpus"),
    [
        ("Actor_01/03-01-06-01-02-01-12.wav", ["ravdess"]),
        ("wav/03a01Fa.wav", ["emodb"]),
        ("AudioWAV/1001_DFA_ANG_XX.wav", ["crema-d"]),
    ],
)
def test_a_published_corpus_of_emotions_is_known_by_its_names(
    tmp_path: Path, name: str, corpus: list[str]
) -> None:
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).touch()
    prepare = plan("emotion", tmp_path, RecipeConfig())[0]
    assert prepare[1:2] == corpus and "--layout" not in prepare
    classes = plan("emotion", tmp_path, RecipeConfig(speakers_unknown=True))[0]
    assert classes[1] == "folder" and "--layout" in classes
    (tmp_path / "other.wav").touch()
    with pytest.raises(ConfigError, match="who speaks"):
        plan("emotion", tmp_path, RecipeConfig())
