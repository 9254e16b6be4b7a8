"""The commands of a recipe, and choices that are of another task."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechkit.base.errors import ConfigError
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
