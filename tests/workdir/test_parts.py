import pytest

from speechkit.workdir.unfinished import map_parts, split


def square(number: int) -> int:
    if number < 0:
        raise ValueError("negative")
    return number * number


@pytest.mark.parametrize("jobs", [1, 2])
def test_parts_come_whole_and_kept_ones_are_not_computed(jobs):
    parts = split([1, 2, -3, -4, 5], 2)
    assert [list(part) for part in parts] == [[1, 2], [-3, -4], [5]]
    found = list(map_parts(square, parts, [False, True, False], jobs=jobs))
    assert [None if part is None else [done.value for done in part] for part in found] == [
        [1, 4],
        None,
        [25],
    ]


def test_failures_stay_in_their_part():
    first, second = map_parts(square, [[1, -2], [3]], [False, False], on_error="skip")
    assert first is not None and second is not None
    assert [(done.item, done.value) for done in first] == [(1, 1), (-2, None)]
    assert "negative" in (first[1].error or "")
    assert [done.value for done in second] == [9]


def test_nothing_left_to_do():
    assert list(map_parts(square, [[1], [2]], [True, True], jobs=2)) == [None, None]
    assert list(map_parts(square, [], [])) == []


def test_how_far_it_is_is_noted_once_a_part_was_kept(tmp_path):
    folder = tmp_path / ".scratch"
    folder.mkdir()
    noted = folder / "finished.txt"
    parts = map_parts(square, [[1, 2], [3], [4]], [False, True, False], folder, unit="clip")
    told = [noted.read_text() if noted.exists() else "" for _ in parts]
    assert told == ["", "2 of 4 clips", "2 of 4 clips"]
    assert noted.read_text() == "4 of 4 clips"
