"""What all evaluations share: tables that are read again, warnings, numbers of a bootstrap."""

import logging

import numpy as np
import pytest

from speechkit.base.errors import DataError, UserError
from speechkit.task.config import require_samples
from speechkit.task.evaluation import numbers, read_table, warn_few_speakers


def test_table_of_text_and_numbers(tmp_path):
    (tmp_path / "t.tsv").write_text('utt\tscore\na\t1.5\n"b\t\n')
    table = read_table(
        tmp_path / "t.tsv", "evaluate it", lambda t: t.assign(score=numbers(t["score"]))
    )
    assert list(table["utt"]) == ["a", '"b']  # quotes are text
    np.testing.assert_array_equal(table["score"], [1.5, np.nan])


def test_damaged_tables_name_the_file_and_what_makes_it(tmp_path):
    path = tmp_path / "t.tsv"
    with pytest.raises(DataError, match="cannot be read") as error:
        read_table(path, "evaluate it", lambda table: table)
    assert str(path) in error.value.problem and "speechkit evaluate it" in error.value.remedy
    path.write_text("utt\tscore\na\tmany\n")
    with pytest.raises(DataError, match="many"):
        read_table(path, "evaluate it", lambda table: numbers(table["score"]))


def test_few_samples_and_speakers(caplog):
    require_samples(100)
    with pytest.raises(UserError, match="100 or more"):
        require_samples(99)
    with caplog.at_level(logging.WARNING):
        warn_few_speakers("dev", 10)
        assert not caplog.text
        warn_few_speakers("dev", 9)
    assert "dev: an interval from 9 speakers is rough" in caplog.text


@pytest.mark.parametrize("task", ["pronunciation", "scoring", "emotion"])
@pytest.mark.parametrize("name", ["", ",", "../x"])
def test_a_name_that_is_none_is_refused(run, tmp_path, task, name):
    (tmp_path / "data/test").mkdir(parents=True)
    done = run("evaluate", task, "-C", tmp_path, "--set", "test", "--name", name)
    assert done.code == 2 and repr(name) in done.err.replace("\n", " ")
